"""The pools that change little: datastores, clusters, users, networks, rights, settings."""

from __future__ import annotations

import hashlib

from haizea.sandbox.cloud import Cloud
from haizea.sandbox.objects import SystemDatastore, User
from haizea.sandbox.people import QUOTAS, quota_use
from haizea.sandbox.render import ids
from haizea.sandbox.template import Template, cdata, plain, template_xml

_NO_QUOTAS = (
    "<DATASTORE_QUOTA></DATASTORE_QUOTA><NETWORK_QUOTA></NETWORK_QUOTA>"
    "<VM_QUOTA></VM_QUOTA><IMAGE_QUOTA></IMAGE_QUOTA>"
)
DEFAULT_QUOTAS = f"<DEFAULT_USER_QUOTAS>{_NO_QUOTAS}</DEFAULT_USER_QUOTAS>"
_OTHER_QUOTAS = ("PCI_DEV", "PCI_NIC", "RUNNING_PCI_DEV", "RUNNING_PCI_NIC", "SYSTEM_DISK_SIZE")

#: The rules that a new OpenNebula has: user, resource, rights, zone, and in words.
_RULES = (
    (
        "200000001 121429400000000 8 400000000",
        "@1 VM+IMAGE+TEMPLATE+DOCUMENT+SECGROUP+VMGROUP+BACKUPJOB/* CREATE *",
    ),
    ("200000001 2400000000 2 100000000", "@1 HOST/* MANAGE #0"),
    ("200000001 4400000000 1 100000000", "@1 NET/* USE #0"),
    ("200000001 100400000000 1 100000000", "@1 DATASTORE/* USE #0"),
    ("400000000 800400000000 1 400000000", "* ZONE/* USE *"),
    ("400000000 18000400000000 1 400000000", "* MARKETPLACE+MARKETPLACEAPP/* USE *"),
)


def raft_status(cloud: Cloud) -> str:
    """The role of this server in its zone, as XML."""
    return (
        f"<RAFT><SERVER_ID>-1</SERVER_ID><STATE>{cloud.raft_state}</STATE><TERM>0</TERM>"
        "<VOTEDFOR>-1</VOTEDFOR><COMMIT>0</COMMIT><LOG_INDEX>-1</LOG_INDEX>"
        "<LOG_TERM>-1</LOG_TERM><FEDLOG_INDEX>-1</FEDLOG_INDEX></RAFT>"
    )


def owned_by_oneadmin(object_id: int, name: str, group_use: int) -> str:
    """The beginning of the XML of oneadmin's objects."""
    return (
        f"<ID>{object_id}</ID><UID>0</UID><GID>0</GID><UNAME>oneadmin</UNAME>"
        f"<GNAME>oneadmin</GNAME><NAME>{name}</NAME><PERMISSIONS><OWNER_U>1</OWNER_U>"
        f"<OWNER_M>1</OWNER_M><OWNER_A>0</OWNER_A><GROUP_U>{group_use}</GROUP_U>"
        "<GROUP_M>0</GROUP_M><GROUP_A>0</GROUP_A><OTHER_U>0</OTHER_U><OTHER_M>0</OTHER_M>"
        "<OTHER_A>0</OTHER_A></PERMISSIONS>"
    )


def datastore_pool(cloud: Cloud) -> str:
    """One datastore of each type: system, images, files; and more of the first."""
    more = [_system_datastore(each) for each in reversed(cloud.datastores.values())]
    shown = "".join([*more, *(_datastore(cloud, which) for which in (2, 1, 0))])
    return f"<DATASTORE_POOL>{shown}</DATASTORE_POOL>"


def _datastore(cloud: Cloud, which: int) -> str:
    name, kind, type_number = (
        ("system", "SYSTEM_DS", 1),
        ("default", "IMAGE_DS", 0),
        ("files", "FILE_DS", 2),
    )[which]
    template: Template = {
        "ALLOW_ORPHANS": ["NO"],
        "RESTRICTED_DIRS": ["/"],
        "SAFE_DIRS": ["/var/tmp"],
        "TM_MAD": ["dummy"],
        "TYPE": [kind],
    }
    if which:
        template |= {"CLONE_TARGET": ["SYSTEM"], "DS_MAD": ["dummy"], "LN_TARGET": ["NONE"]}
    else:
        template |= {"DS_MIGRATE": ["YES"], "SHARED": ["YES"]}
    if which != 2:
        template["DISK_TYPE"] = ["FILE"]
    if cloud.dialect.number >= (7, 0):
        template["PERSISTENT_SNAPSHOTS"] = ["YES"]
        if not which:
            template |= {"DS_LIVE_MIGRATE": ["YES"], "DS_MIGRATE_SNAP": ["YES"]}
    return _datastore_xml(
        which,
        (name, "dummy" if which else "-", type_number),
        "<CLUSTERS><ID>0</ID></CLUSTERS><TOTAL_MB>4796800</TOTAL_MB><FREE_MB>3333260</FREE_MB>"
        "<USED_MB>1429920</USED_MB>",
        template,
    )


def _system_datastore(store: SystemDatastore) -> str:
    return _datastore_xml(
        store.id,
        (store.name, "-", 1),
        f"<CLUSTERS>{ids(store.clusters)}</CLUSTERS><TOTAL_MB>{store.total_mb}</TOTAL_MB>"
        f"<FREE_MB>{store.free_mb}</FREE_MB><USED_MB>{store.total_mb - store.free_mb}</USED_MB>",
        {
            "SHARED": ["YES" if store.shared else "NO"],
            "TM_MAD": ["dummy"],
            "TYPE": ["SYSTEM_DS"],
        },
    )


def _datastore_xml(number: int, kind: tuple[str, str, int], room: str, template: Template) -> str:
    """A datastore; ``kind`` is its name, its driver and its type."""
    name, driver, type_number = kind
    return (
        f"<DATASTORE>{owned_by_oneadmin(number, plain(name), 1)}"
        f"<DS_MAD>{cdata(driver)}</DS_MAD><TM_MAD>{cdata('dummy')}</TM_MAD>"
        f"<BASE_PATH>{cdata(f'/var/lib/one/datastores/{number}')}</BASE_PATH>"
        f"<TYPE>{type_number}</TYPE><DISK_TYPE>0</DISK_TYPE><STATE>0</STATE>{room}"
        f"<IMAGES></IMAGES><TEMPLATE>{template_xml(template)}</TEMPLATE></DATASTORE>"
    )


def cluster_pool(cloud: Cloud) -> str:
    """The clusters; what every OpenNebula has is in the first one."""
    shown = []
    for cluster in cloud.clusters.values():
        hosts = sorted(host.id for host in cloud.hosts.values() if host.cluster == cluster.id)
        own = [each.id for each in cloud.datastores.values() if cluster.id in each.clusters]
        stores = [*range(3), *own] if cluster.id == 0 else own
        networks = "<ID>0</ID>" if cluster.id == 0 else ""
        template = template_xml({"RESERVED_CPU": [""], "RESERVED_MEM": [""]})
        shown.append(
            f"<CLUSTER><ID>{cluster.id}</ID><NAME>{plain(cluster.name)}</NAME>"
            f"<HOSTS>{ids(hosts)}</HOSTS><DATASTORES>{ids(stores)}</DATASTORES>"
            f"<VNETS>{networks}</VNETS><TEMPLATE>{template}</TEMPLATE></CLUSTER>"
        )
    return f"<CLUSTER_POOL>{''.join(shown)}</CLUSTER_POOL>"


def network_pool(cloud: Cloud) -> str:
    """The one network, of which every NIC is."""
    origin = "<TEMPLATE_ID/>" if cloud.dialect.number >= (7, 0) else ""
    shown: Template = {
        "BRIDGE": ["br0"],
        "BRIDGE_TYPE": ["linux"],
        "OUTER_VLAN_ID": [""],
        "PHYDEV": [""],
        "SECURITY_GROUPS": ["0"],
        "VLAN_ID": [""],
        "VN_MAD": ["dummy"],
    }
    own: Template = {"ALLOCATED": [""]}
    if cloud.dialect.number >= (7, 0):
        own = {"NEXT_INDEX": ["0"], "SHARED": ["NO"]}
    addresses: Template = own | {
        "AR_ID": ["0"],
        "IP": ["10.0.0.1"],
        "MAC": ["02:00:0a:00:00:01"],
        "SIZE": ["5000"],
        "TYPE": ["IP4"],
    }
    return (
        f"<VNET_POOL><VNET>{owned_by_oneadmin(0, 'net0', 0)}<CLUSTERS><ID>0</ID></CLUSTERS>"
        f"<BRIDGE>{cdata('br0')}</BRIDGE><BRIDGE_TYPE>{cdata('linux')}</BRIDGE_TYPE>"
        f"<STATE>{cdata('1')}</STATE><PREV_STATE>{cdata('1')}</PREV_STATE><PARENT_NETWORK_ID/>{origin}"
        f"<VN_MAD>{cdata('dummy')}</VN_MAD><PHYDEV/><VLAN_ID/><OUTER_VLAN_ID/>"
        "<VLAN_ID_AUTOMATIC>0</VLAN_ID_AUTOMATIC>"
        "<OUTER_VLAN_ID_AUTOMATIC>0</OUTER_VLAN_ID_AUTOMATIC><USED_LEASES>0</USED_LEASES>"
        "<VROUTERS></VROUTERS><UPDATED_VMS></UPDATED_VMS><OUTDATED_VMS></OUTDATED_VMS>"
        f"<UPDATING_VMS></UPDATING_VMS><ERROR_VMS></ERROR_VMS><TEMPLATE>{template_xml(shown)}"
        f"</TEMPLATE><AR_POOL><AR>{template_xml(addresses)}</AR></AR_POOL></VNET></VNET_POOL>"
    )


def rules_pool() -> str:
    """The access rules, which the sandbox shows and follows without reading them."""
    names = ("USER", "RESOURCE", "RIGHTS", "ZONE")
    shown = []
    for number, (codes, words) in zip((0, 3, 4, 5, 1, 2), _RULES, strict=True):
        values = zip(names, codes.split(), strict=True)
        inner = "".join(f"<{name}>{code}</{name}>" for name, code in values)
        shown.append(f"<ACL><ID>{number}</ID>{inner}<STRING>{plain(words)}</STRING></ACL>")
    return f"<ACL_POOL>{''.join(shown)}</ACL_POOL>"


def zone_pool(cloud: Cloud, endpoint: str) -> str:
    """The one zone."""
    # 7 has a second protocol, which the sandbox does not speak.
    second = (
        f"<ENDPOINT_GRPC>{cdata('-')}</ENDPOINT_GRPC>" if cloud.dialect.number >= (7, 0) else ""
    )
    return (
        "<ZONE_POOL><ZONE><ID>0</ID><NAME>OpenNebula</NAME><STATE>0</STATE><TEMPLATE>"
        f"<ENDPOINT>{cdata(endpoint)}</ENDPOINT>{second}</TEMPLATE><SERVER_POOL></SERVER_POOL></ZONE>"
        "</ZONE_POOL>"
    )


def user_xml(user: User) -> str:
    """A user without quotas."""
    # Unsalted hashes are what OpenNebula shows; these are of passwords that guard nothing.
    password = hashlib.sha256(user.password.encode()).hexdigest()
    token = hashlib.sha256(f"token of {user.name}".encode()).hexdigest()
    driver = "server_cipher" if user.name == "serveradmin" else "core"
    return (
        f"<ID>{user.id}</ID><GID>{user.gid}</GID><GROUPS><ID>{user.gid}</ID></GROUPS>"
        f"<GNAME>{plain(user.gname)}</GNAME><NAME>{plain(user.name)}</NAME>"
        f"<PASSWORD>{cdata(password)}</PASSWORD><AUTH_DRIVER>{cdata(driver)}</AUTH_DRIVER>"
        f"<ENABLED>1</ENABLED><TEMPLATE>{template_xml({'TOKEN_PASSWORD': [token]})}</TEMPLATE>"
    )


def user_pool(cloud: Cloud) -> str:
    """All users, newest first, each with its quotas."""
    shown = "".join(
        f"<USER>{user_xml(user)}</USER><QUOTAS><ID>{user.id}</ID>{quotas_xml(cloud, user)}</QUOTAS>"
        for user in reversed(cloud.users.values())
    )
    return f"<USER_POOL>{shown}{DEFAULT_QUOTAS}</USER_POOL>"


def quotas_xml(cloud: Cloud, user: User) -> str:
    """A user's quotas and what is used of them."""
    if user.quota is None:
        return _NO_QUOTAS
    used = quota_use(cloud, user)
    values: Template = {}
    for name in (*QUOTAS, *_OTHER_QUOTAS):
        values[name] = [f"{user.quota.get(name, -1):g}"]
        values[f"{name}_USED"] = [f"{used.get(name, 0):g}"]
    shown = f"<VM_QUOTA><VM>{template_xml(values)}</VM></VM_QUOTA>"
    return _NO_QUOTAS.replace("<VM_QUOTA></VM_QUOTA>", shown)


def configuration(submit_on_hold: bool, is_7: bool, placer: str, events_port: int | None) -> str:
    """The settings of ``oned.conf`` that matter to a scheduler."""
    settings: Template = {
        "API_LIST_ORDER": ["DESC"],
        "LOG_CALL_FORMAT": [r"Req:%i UID:%u IP:%A %m invoked %l20"],
        "VM_SUBMIT_ON_HOLD": ["YES" if submit_on_hold else "NO"],
    }
    if events_port is not None:
        # The second port is that at which hooks are told of how they ended: it is not played.
        listens = f"-p {events_port} -l {events_port + 1} -b 127.0.0.1"
        settings["HM_MAD"] = [{"ARGUMENTS": listens, "EXECUTABLE": "one_hm"}]
    if is_7:
        arguments = f"-t 15 -p {placer} -o {'one_drs' if placer == 'rank' else placer}"
        settings["SCHED_MAD"] = [{"ARGUMENTS": arguments, "EXECUTABLE": "one_sched"}]
    return f"<OPENNEBULA_CONFIGURATION>{template_xml(settings)}</OPENNEBULA_CONFIGURATION>"
