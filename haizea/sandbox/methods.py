"""The XML-RPC methods of OpenNebula 5 and later."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from haizea.sandbox import pools
from haizea.sandbox.cloud import Cloud
from haizea.sandbox.objects import Machine, User, VmGroup
from haizea.sandbox.people import (
    AUTHENTICATION,
    INTERNAL,
    NO_SUCH_OBJECT,
    QUOTAS,
    WRONG_CALL,
    Refusal,
    add_user,
    authenticate,
    new_token,
    require,
    require_administrator,
)
from haizea.sandbox.render import Renderer, group_xml
from haizea.sandbox.sites import Sites
from haizea.sandbox.states import State
from haizea.sandbox.template import TemplateError, first, parse_template
from haizea.sandbox.verbs import Verbs
from haizea.sandbox.wire import Argument, Escaped

_ANY, _ANY_BUT_DONE = -2, -1


@dataclass(frozen=True, slots=True)
class Method:
    """Types of its parameters after the session, what it does, and whether it changes anything."""

    required: str
    optional: str
    call: Callable[..., Argument]
    changes: bool = False


class Methods:
    """Every method by name. Calls are made within a turn of the cloud."""

    def __init__(
        self,
        cloud: Cloud,
        verbs: Verbs,
        sites: Sites,
        *,
        endpoint: Callable[[], str],
        placer: str,
        events_port: Callable[[], int | None] = lambda: None,
    ) -> None:
        self.cloud = cloud
        self.verbs = verbs
        self.sites = sites
        self.render = Renderer(cloud)
        self._endpoint = endpoint
        self._placer = placer
        self._events_port = events_port
        self.table = self._reading() | self._changing()

    def authenticate(self, method: str, session: str) -> User:
        """The user of a session.

        Raises:
            Refusal: there is none.
        """
        user = authenticate(self.cloud, session)
        if user is None:
            raise Refusal("User couldn't be authenticated, aborting call.", AUTHENTICATION)
        return user

    def accepted(self, value: Argument) -> list[Argument]:
        """The answer to a call that is accepted."""
        return [True, value, 0]

    def refused(self, method: str, refusal: Refusal) -> list[Argument]:
        """The answer to a call that is refused."""
        return [False, f"[{method}] {refusal.text}", refusal.code, refusal.object_id, -1]

    def _reading(self) -> dict[str, Method]:
        cloud = self.cloud
        return {
            "one.system.version": Method("", "", lambda user: cloud.dialect.version),
            "one.system.config": Method("", "", self._config),
            "one.zone.raftstatus": Method("", "", lambda user: pools.raft_status(cloud)),
            "one.zonepool.info": Method(
                "", "", lambda user: pools.zone_pool(cloud, self._endpoint())
            ),
            "one.hostpool.info": Method("", "", self._host_pool),
            "one.hostpool.monitoring": Method("", "i", self._host_monitoring),
            "one.host.info": Method("i", "b", self._host_info),
            "one.vmpool.info": Method("iiii", "s", self._pool_call("one.vmpool.info", False)),
            "one.vmpool.infoextended": Method(
                "iiii", "s", self._pool_call("one.vmpool.infoextended", True)
            ),
            "one.vmpool.infoset": Method("sb", "", self._info_set),
            "one.vm.info": Method("i", "b", self._vm_info),
            "one.user.info": Method("i", "b", self._user_info),
            "one.userpool.info": Method("", "", lambda user: pools.user_pool(cloud)),
            "one.clusterpool.info": Method("", "", lambda user: pools.cluster_pool(cloud)),
            "one.datastorepool.info": Method("", "", lambda user: pools.datastore_pool(cloud)),
            "one.vnpool.info": Method("", "iii", lambda user, *rest: pools.network_pool(cloud)),
            "one.acl.info": Method("", "", lambda user: pools.rules_pool()),
            "one.vmgrouppool.info": Method("", "iii", self._groups),
            "one.templatepool.info": Method(
                "", "iii", lambda user, *rest: "<VMTEMPLATE_POOL></VMTEMPLATE_POOL>"
            ),
        }

    def _changing(self) -> dict[str, Method]:
        verbs = self.verbs

        def changes(required: str, optional: str, call: Callable[..., Argument]) -> Method:
            return Method(required, optional, call, changes=True)

        return {
            "one.vm.allocate": changes("s", "b", verbs.allocate),
            "one.vm.deploy": changes("ii", "bis", self._deploy),
            "one.vm.action": changes("si", "", verbs.action),
            "one.vm.migrate": changes("iib", "bii", verbs.migrate),
            "one.vm.recover": changes("ii", "", verbs.recover),
            "one.vm.update": changes("isi", "", verbs.update),
            "one.vm.resize": changes("isb", "", verbs.resize),
            "one.vm.lock": changes(
                "ii", "b", lambda user, vm, level, *rest: verbs.lock(user, vm, level)
            ),
            "one.vm.unlock": changes("i", "", lambda user, vm: verbs.lock(user, vm, 0)),
            "one.vm.schedadd": changes("is", "", verbs.schedule),
            "one.vm.schedupdate": changes("iis", "", verbs.reschedule),
            "one.host.allocate": changes("sss", "i", self._host_allocate),
            "one.host.status": changes("ii", "", self._host_status),
            "one.host.delete": changes("i", "", self._host_delete),
            "one.host.update": changes("isi", "", self._host_update),
            "one.user.allocate": changes("ss", "s", self._user_allocate),
            "one.user.login": changes("ssi", "i", self._login),
            "one.user.quota": changes("is", "", self._quota),
            "one.vmgroup.allocate": changes("s", "", self._group_allocate),
        }

    # VMs

    def _deploy(self, user: User, vm: int, host: int, *rest: Any) -> int:
        enforce, datastore = [*rest, *(False, -1)[len(rest) :]][:2]
        return self.verbs.deploy(user, vm, host, enforce, datastore)

    def _vm_info(self, user: User, vm_id: int, decrypt: bool = False) -> str:
        vm = self.verbs.vm(vm_id)
        require(user, "USE", vm)
        return self.render.vm(vm)

    def _pool_call(self, name: str, extended: bool) -> Callable[..., Argument]:
        def call(
            user: User, owner: int, start: int, end: int, state: int, query: str = ""
        ) -> Escaped:
            if query:
                text = "JSON query search is not supported by the SQL backend"
                raise Refusal(text, INTERNAL)
            if owner < -4 or state < _ANY or state > max(State):
                raise Refusal(self._wrong_filter(state), WRONG_CALL)
            known = self.cloud.vms if state in (_ANY, State.DONE) else self.cloud.live
            found = (
                vm
                for vm in reversed(known.values())
                if _is_of(user, vm, owner)
                and (state < 0 or vm.state == state)
                and (start < 0 or end < start or start <= vm.id <= end)
            )
            return self._pool(_page(found, start, end), extended)

        return call

    def _wrong_filter(self, state: int) -> str:
        if self.cloud.dialect.number < (7, 0):
            return "Incorrect filter_flag, state"
        return f"Incorrect state filter {state}"

    def _info_set(self, user: User, wanted: str, extended: bool) -> Escaped:
        numbers = sorted(
            {int(part) for part in wanted.split(",") if part.strip().isdigit()}, reverse=True
        )
        found = (self.cloud.vms[number] for number in numbers if number in self.cloud.vms)
        return self._pool((vm for vm in found if _is_of(user, vm, -2)), extended)

    def _pool(self, vms: Iterable[Machine], extended: bool) -> Escaped:
        inner = "".join(self.render.vm_in_pool(vm, extended) for vm in vms)
        return Escaped(f"&lt;VM_POOL&gt;{inner}&lt;/VM_POOL&gt;")

    # Hosts

    def _host_pool(self, user: User) -> str:
        shown = "".join(
            self.render.host(host, monitoring=False) for host in reversed(self.cloud.hosts.values())
        )
        return f"<HOST_POOL>{shown}</HOST_POOL>"

    def _host_monitoring(self, user: User, seconds: int = -1) -> str:
        shown = "".join(
            self.render.monitoring(host) for host in self.cloud.hosts.values() if host.monitored_at
        )
        return f"<MONITORING_DATA>{shown}</MONITORING_DATA>"

    def _host_info(self, user: User, host_id: int, decrypt: bool = False) -> str:
        return self.render.host(self.verbs.host(host_id), monitoring=True)

    def _host_allocate(
        self, user: User, name: str, monitor: str, driver: str, cluster: int = -1
    ) -> int:
        require_administrator(user, "CREATE", "HOST", -1)
        return self.sites.add(name, drivers=(monitor, driver, "dummy")).id

    def _host_status(self, user: User, host_id: int, status: int) -> int:
        require_administrator(user, "ADMIN", "HOST", host_id)
        self.sites.set_status(self.verbs.host(host_id), status, f"{user.name} one.host.status")
        return host_id

    def _host_delete(self, user: User, host_id: int) -> int:
        require_administrator(user, "ADMIN", "HOST", host_id)
        self.sites.remove(self.verbs.host(host_id))
        return host_id

    def _host_update(self, user: User, host_id: int, text: str, append: int) -> int:
        require_administrator(user, "MANAGE", "HOST", host_id)
        template = _template(text)
        host = self.verbs.host(host_id)
        self.sites.update(host, template, append == 1, f"{user.name} one.host.update")
        return host_id

    # Users, groups, settings

    def _config(self, user: User) -> str:
        require_administrator(user, "ADMIN", "ZONE", 0)
        is_7 = self.cloud.dialect.number >= (7, 0)
        return pools.configuration(
            self.verbs.submit_on_hold, is_7, self._placer, self._events_port()
        )

    def _user(self, user_id: int) -> User:
        found = self.cloud.users.get(user_id)
        if found is None:
            raise Refusal(f"Error getting user [{user_id}].", NO_SUCH_OBJECT, user_id)
        return found

    def _user_info(self, user: User, user_id: int, decrypt: bool = False) -> str:
        wanted = user if user_id == -1 else self._user(user_id)
        if wanted is not user:
            require_administrator(user, "USE", "USER", user_id)
        quotas = pools.quotas_xml(self.cloud, wanted)
        return f"<USER>{pools.user_xml(wanted)}{quotas}{pools.DEFAULT_QUOTAS}</USER>"

    def _user_allocate(self, user: User, name: str, password: str, driver: str = "core") -> int:
        require_administrator(user, "CREATE", "USER", -1)
        if not name or any(known.name == name for known in self.cloud.users.values()):
            raise Refusal("NAME is already taken or empty", INTERNAL)
        return add_user(self.cloud, name, password).id

    def _login(self, user: User, name: str, token: str, seconds: int, group: int = -1) -> str:
        wanted = next((each for each in self.cloud.users.values() if each.name == name), None)
        if wanted is None:
            raise Refusal("Error getting user.", NO_SUCH_OBJECT)
        if wanted is not user:
            require_administrator(user, "MANAGE", "USER", wanted.id)
        if seconds == 0:
            wanted.tokens.pop(token, None)
            return ""
        return new_token(self.cloud, wanted, seconds)

    def _quota(self, user: User, user_id: int, text: str) -> int:
        require_administrator(user, "ADMIN", "USER", user_id)
        wanted = self._user(user_id)
        limits = next((v for v in _template(text).get("VM", ()) if isinstance(v, dict)), {})
        try:
            quota = {name: float(limits[name]) for name in QUOTAS if name in limits}
        except ValueError:
            raise Refusal("Wrong quota format", INTERNAL) from None
        wanted.quota = quota or None
        self.cloud.observers.keep("user", wanted)
        return user_id

    def _groups(self, user: User, *rest: int) -> str:
        owner = next(iter(self.cloud.users.values()))
        shown = "".join(group_xml(group, owner) for group in self.cloud.groups.values())
        return f"<VM_GROUP_POOL>{shown}</VM_GROUP_POOL>"

    def _group_allocate(self, user: User, text: str) -> int:
        template = _template(text)
        roles = [role for role in template.get("ROLE", ()) if isinstance(role, dict)]
        members: dict[str, list[int]] = {role.get("NAME", ""): [] for role in roles}
        group = VmGroup(self.cloud.new_id("group"), first(template, "NAME") or "", roles, members)
        self.cloud.groups[group.id] = group
        self.cloud.observers.keep("group", group)
        return group.id


def _template(text: str) -> dict[str, Any]:
    try:
        return parse_template(text)
    except TemplateError as error:
        raise Refusal(f"Parse error: {error}", INTERNAL) from None


def _is_of(user: User, vm: Machine, owner: int) -> bool:
    """``vm`` is among those that ``owner`` asks for, and ``user`` may see it."""
    if owner >= 0:
        return vm.uid == owner and (user.administers or vm.uid == user.id)
    if owner == -3:
        return vm.uid == user.id
    return user.administers or vm.uid == user.id


def _page(vms: Iterable[Machine], start: int, end: int) -> Iterable[Machine]:
    """With ``end`` below -1 the others are an offset and how many."""
    if start >= 0 and end < -1:
        return list(vms)[start : start - end]
    return vms
