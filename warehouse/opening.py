"""The store at the place that was configured."""

from pathlib import Path

from controlzero.errors import Unavailable
from warehouse.local_folder import LocalFolder
from warehouse.stores import Bucket, Place, Store


def open_store(place: Place | Store) -> Store:
    """Return the store at a place. Nothing is read or made yet."""
    if isinstance(place, Path):
        return LocalFolder(place)
    if not isinstance(place, Bucket):
        return place
    try:
        from warehouse.object_store import ObjectStore  # its client is an extra
    except ModuleNotFoundError as missing:
        raise Unavailable(f"{place.url}: {missing}; install controlzero-audit[s3] to keep the ledger on an object store") from missing

    return ObjectStore(place)
