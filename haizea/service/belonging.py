"""The store that belongs to a service: opened, known again, and never replaced without a word.

A store has an identity, which the service's state directory has too, so that a store that
was lost, emptied or exchanged is noticed at the next start.
"""

from __future__ import annotations

import secrets

from haizea.service.paths import Paths
from haizea.store import Store, StoreError, StoreMissing

_IDENTITY = "identity"


def open_store(place: str, paths: Paths, *, new_store: bool) -> Store:
    """The store at ``place``; made where none was used before, or ``new_store`` says so.

    Raises :class:`haizea.store.StoreError` where it should be there and is not.
    """
    expected = paths.read_mark() != "" or paths.has_token()
    try:
        return Store.open(place, create=new_store or not expected)
    except StoreMissing as error:
        raise StoreError(
            f"{error}, though this service has used one before (see {paths.directory}): put it"
            " back – mount its disk, restore a backup, or correct persistence-file – or, to begin"
            " without the leases and tokens that were in it, start with haizea -c FILE --new-store"
        ) from error


def check_store(store: Store, paths: Paths, *, new_store: bool) -> None:
    """See that a store that is locked is this service's, or may become its own.

    Raises :class:`haizea.store.StoreError` where it is another one.
    """
    if new_store and store.turns and is_known(store, paths):
        raise StoreError(
            f"the store {store.shown} is there, and is this service's: start without --new-store,"
            " or move the store away first"
        )
    known, own = paths.read_mark(), store.setting(_IDENTITY)
    # One that has turns and no identity is from before there were any.
    other = known != own if own is not None else not store.turns
    if known and other and not new_store:
        raise StoreError(
            f"the store {store.shown} is not the one that this service used before (see"
            f" {paths.mark}): correct persistence-file or put that one back; to use this one from"
            " now on, start with haizea -c FILE --new-store"
        )


def is_known(store: Store, paths: Paths) -> bool:
    """Tell whether the service has gone on with this very store before."""
    known = paths.read_mark()
    return known != "" and known == store.setting(_IDENTITY)


def claim_store(store: Store, paths: Paths) -> str:
    """Have the store known again, once it is sure that the service goes on with it.

    Answers what is to be told about it; empty if nothing is.
    """
    known, own = paths.read_mark(), store.setting(_IDENTITY)
    if own is None:
        own = secrets.token_hex(16)
        store.set_setting(_IDENTITY, own)
    if known == own:
        return ""
    if known:
        paths.remove_token()  # It is the other store's; this one's is made at the start.
    paths.write_mark(own)
    return f"the store is {store.shown} from now on, and was another one before" if known else ""
