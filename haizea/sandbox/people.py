"""The users who may call: sessions, passwords, tokens, rights, quotas."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass

from haizea.sandbox.cloud import Cloud
from haizea.sandbox.objects import ONEADMIN_GROUP, Machine, User
from haizea.sandbox.states import State

AUTHENTICATION = 256
AUTHORIZATION = 512
NO_SUCH_OBJECT = 1024
NOT_POSSIBLE = 2048
WRONG_CALL = 4096
INTERNAL = 8192

#: From which lock level on a right is refused: 1 use, 2 manage, 3 admin, 4 all.
_LOCK_STOPS = {"USE": (1, 4), "MANAGE": (1, 2, 4), "ADMIN": (1, 2, 3, 4)}

QUOTAS = ("VMS", "CPU", "MEMORY", "RUNNING_VMS", "RUNNING_CPU", "RUNNING_MEMORY")
_OFF_QUOTA = (State.STOPPED, State.UNDEPLOYED, State.DONE)


@dataclass
class Refusal(Exception):
    """The call is answered with ``false``: text, code, and the id of the object that is missing."""

    text: str
    code: int
    object_id: int = -1

    def __str__(self) -> str:
        return self.text


def add_user(cloud: Cloud, name: str, password: str, *, administers: bool = False) -> User:
    """A new user, in oneadmin's group or in ``users``."""
    gid, gname = (ONEADMIN_GROUP, "oneadmin") if administers else (1, "users")
    user = User(cloud.new_id("user"), name, password, gid, gname)
    cloud.users[user.id] = user
    cloud.observers.keep("user", user)
    return user


def authenticate(cloud: Cloud, session: str) -> User | None:
    """The user of ``session``, by password or token; on 1.4 the password's SHA-1."""
    name, _, word = session.partition(":")
    for user in cloud.users.values():
        if user.name == name:
            return user if _is_right(cloud, user, word) else None
    return None


def _is_right(cloud: Cloud, user: User, word: str) -> bool:
    if cloud.dialect.is_old:
        hashed = hashlib.sha1(user.password.encode(), usedforsecurity=False).hexdigest()
        return secrets.compare_digest(hashed.encode(), word.encode())
    if secrets.compare_digest(user.password.encode(), word.encode()):
        return True
    return user.tokens.get(word, 0.0) > cloud.now


def new_token(cloud: Cloud, user: User, seconds: float) -> str:
    """A token that works as a password for so long; below zero for ever."""
    token = secrets.token_hex(32)
    user.tokens[token] = float("inf") if seconds < 0 else cloud.now + seconds
    cloud.observers.keep("user", user)
    return token


def require(user: User, right: str, vm: Machine) -> None:
    """Raises:
    Refusal: ``user`` has no such right (USE, MANAGE, ADMIN) on ``vm``, or it is locked.
    """
    if vm.lock_level in _LOCK_STOPS[right] and right != "USE":
        raise Refusal(f"User [{user.id}] : VM is locked. [{vm.id}].", AUTHORIZATION)
    owns = user.id == vm.uid and right != "ADMIN"
    if not owns and not user.administers:
        raise Refusal(
            f"User [{user.id}] : Not authorized to perform {right} VM [{vm.id}].", AUTHORIZATION
        )


def require_administrator(user: User, right: str, what: str, object_id: int) -> None:
    """Raises:
    Refusal: ``user`` is none of oneadmin's group.
    """
    if not user.administers:
        raise Refusal(
            f"User [{user.id}] : Not authorized to perform {right} {what} [{object_id}].",
            AUTHORIZATION,
        )


def quota_use(cloud: Cloud, user: User) -> dict[str, float]:
    """The amount that the user's VMs take of each quota."""
    own = [vm for vm in cloud.live.values() if vm.uid == user.id]
    running = [vm for vm in own if vm.state not in _OFF_QUOTA]
    return {
        prefix + name: value
        for prefix, vms in (("", own), ("RUNNING_", running))
        for name, value in (
            ("VMS", len(vms)),
            ("CPU", sum(vm.cpu_percent for vm in vms) / 100),
            ("MEMORY", sum(vm.memory_kb for vm in vms) / 1024),
        )
    }


def require_quota(
    cloud: Cloud, owner: User, caller: User, cpu_percent: int, memory_kb: int, *, running: bool
) -> None:
    """Raises:
    Refusal: one VM more, with these amounts, is above a quota of its owner.
    """
    if owner.quota is None or owner.administers:
        return
    used = quota_use(cloud, owner)
    more = {"VMS": 1.0, "CPU": cpu_percent / 100, "MEMORY": memory_kb / 1024}
    for name, limit in owner.quota.items():
        bare = name.removeprefix("RUNNING_")
        if running and bare == name:
            continue
        if limit >= 0 and used[name] + more[bare] > limit:
            raise Refusal(
                f"User [{caller.id}] : user [{owner.id}] limit of {limit:g} reached for"
                f" {name} quota in VM.",
                AUTHORIZATION,
            )
