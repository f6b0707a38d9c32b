"""Lands what messages caused, with their offsets, in one commit: exactly once, whoever else lands the same.

What a process believes of the offsets is never trusted: the versions are read from the log's state, and the commit is
refused when that state is no longer the last. Whoever is refused reads on, drops what has landed meanwhile, and tries anew.
"""

import threading
from collections.abc import Iterable, Mapping

import pyarrow as pa
import pyarrow.compute as pc
from msgspec import Struct

from controlzero.errors import ControlZeroError, Rejected, Unavailable
from warehouse.delta_log import COMPACTOR, Action, Add, Clock, DeltaLog, NewId, Raced, Txn, create_ledger, identity_of
from warehouse.disk import unavailable_without_disk
from warehouse.file_names import file_name, folder_of
from warehouse.files import add_action, discard, encode, months_of
from warehouse.kinds import Kind
from warehouse.local_folder import LocalFolder
from warehouse.locks import writing
from warehouse.mending import mend
from warehouse.opening import open_store
from warehouse.rollups import minute_rollup
from warehouse.schema import arrow_schema
from warehouse.stores import LOG, Place, Store

RACES_MAX = 1_000  # each lost race is another writer's landed commit: more in a row means something else is wrong


class OffsetGap(ControlZeroError):  # noqa: N818  # named for what the caller does next
    """A landing begins beyond what has landed: go back to `landed` and process from there."""

    def __init__(self, app_id: str, *, first: int, landed: int) -> None:
        super().__init__(f"{app_id}: landed up to {landed}, the landing begins at {first}; read again from {landed}")
        self.landed = landed


class Landing(Struct, frozen=True, kw_only=True):
    """What the messages `first` to `next` (excluded) of each app id caused, by kind.

    An app id is `cz/<log id>/<topic id>/<partition>`. Every row names its message in `log_partition` and `log_offset`.
    Rollups are not part of it: they are counted from the decisions that really land.
    """

    tables: Mapping[Kind, pa.Table]
    offsets: Mapping[str, tuple[int, int]]


class Lander:
    """Appends to the ledger at `place` (the table's own folder, `CZ_HOME/warehouse/ledger`, or a bucket), made where there is none.

    Threads may share it. `new_id` returns a text no other call ever returned, such as a UUID.
    """

    def __init__(self, place: Place, *, clock: Clock, new_id: NewId) -> None:
        self._store = open_store(place)
        self._clock = clock
        self._new_id = new_id
        self._mutex = threading.Lock()
        with unavailable_without_disk(self._store.name):
            open_ledger(self._store, new_id=new_id)
            self._log = DeltaLog(self._store)

    def landed(self, app_ids: Iterable[str]) -> dict[str, int]:
        """Return the offset each app id goes on from; one that never landed is left out: it goes on from its log's start."""
        with unavailable_without_disk(self._store.name), self._mutex, writing(self._store.locks):
            self._log.refresh()
            self._log.sync()
            versions = {app_id: self._log.transaction_version(app_id) for app_id in app_ids}
            return {app_id: version for app_id, version in versions.items() if version is not None}

    def land(self, landing: Landing) -> int:
        """Commit what of the landing has not landed yet, durably, and return the ledger's version that holds it all.

        Raises `OffsetGap` where messages before it are missing, `Unavailable` where the disk does not take it (nothing is
        lost: land it again), `Rejected` where a row is of no message of the landing.
        """
        check(landing)
        written: _Written | None = None
        with unavailable_without_disk(self._store.name), self._mutex, writing(self._store.locks):
            for _ in range(RACES_MAX):
                self._log.refresh()
                rest = self._not_landed(landing)
                if written and (written.offsets != rest.offsets or written.fence != self._fence()):
                    discard(self._store, written.adds)  # part of it has landed meanwhile, or was swept
                    written = None
                if rest.offsets:
                    written = written or self._written(rest)
                    if not self._is_committed(written):
                        continue
                self._log.sync()
                return self._log.version
        raise Unavailable(f"{self._store.name}: lost {RACES_MAX} races to commit; is another process writing to it in a loop?")

    def _not_landed(self, landing: Landing) -> Landing:
        """Return what of a landing is not below the landed offsets, by the state that the commit will be made on."""
        offsets: dict[str, tuple[int, int]] = {}
        known: dict[int, int] = {}  # partition → landed offset, where it cuts the landing
        for app_id, (first, after) in landing.offsets.items():
            landed = self._log.transaction_version(app_id)
            if landed is None or landed == first < after:
                offsets[app_id] = (first, after)
            elif landed < first:
                raise OffsetGap(app_id, first=first, landed=landed)
            else:
                known[partition_of(app_id)] = landed
                if landed < after:
                    offsets[app_id] = (landed, after)
        tables = landing.tables
        for partition, landed in known.items():
            tables = {kind: _from_offset(table, partition, landed) for kind, table in tables.items()}
        return Landing(tables=tables, offsets=offsets)

    def _is_committed(self, written: "_Written") -> bool:
        """Commit what was written; say whether that was done: not when another writer was first."""
        actions = [Action(add=add) for add in written.adds]
        actions += [Action(txn=Txn(app_id, after, written.at_ms)) for app_id, (_, after) in written.offsets.items()]
        try:
            self._log.commit(actions, operation="WRITE", at_ms=written.at_ms, new_id=self._new_id)
        except Raced:
            return False
        except OSError:  # not committed, for certain; after anything else removal finds what is left
            discard(self._store, written.adds)
            raise
        return True

    def _written(self, landing: Landing) -> "_Written":
        """Write a file for each kind and month, durably."""
        at_ms, fence = self._clock() // 1000, self._fence()
        tables = dict(landing.tables)
        if "decision" in tables and tables["decision"].num_rows:
            tables["rollup"] = minute_rollup(tables["decision"])
        adds: list[Add] = []
        contents: dict[str, bytes] = {}
        for kind, table in tables.items():
            for month, part in months_of(table) if table.num_rows else ():
                content, sha256 = encode(part, kind)
                path = f"{folder_of(kind, month)}/{file_name('l', self._new_id(), sha256)}"
                adds.append(add_action(path, part, kind=kind, month=month, size=len(content), at_ms=at_ms))
                contents[path] = content
        self._store.put(contents)
        return _Written(at_ms, landing.offsets, tuple(adds), fence)

    def _fence(self) -> int | None:
        """Return what removal moves before it takes files that no version lists."""
        return self._log.transaction_version(COMPACTOR)


class _Written(Struct, frozen=True):
    """Files of a landing that are durable and not committed, and the fence as it was before they were written."""

    at_ms: int
    offsets: Mapping[str, tuple[int, int]]
    adds: tuple[Add, ...]
    fence: int | None


def open_ledger(place: Place | Store, *, new_id: NewId) -> None:
    """Make the ledger where there is none, and mend the end of its log: what is set aside there, `set_aside` tells."""
    store = open_store(place)
    if isinstance(store, LocalFolder) and (store.root / LOG).is_dir():
        mend(store.root, new_id=new_id)
    create_ledger(store)


def ledger_id(place: Place, *, new_id: NewId) -> str:
    """Return the random identity the ledger was made with, made now where there is none. Raises `Unavailable` without its store."""
    store = open_store(place)
    with unavailable_without_disk(store.name):
        open_ledger(store, new_id=new_id)
        return identity_of(store)


def check(landing: Landing) -> None:
    """Raise `Rejected` unless every row is of a message of the landing, and in its kind's columns."""
    ranges = {partition_of(app_id): offsets for app_id, offsets in landing.offsets.items()}
    if len(ranges) != len(landing.offsets):
        raise Rejected("a landing is of one topic of one log: two of its app ids have the same partition")
    for kind, table in landing.tables.items():
        if kind == "rollup":
            raise Rejected("a landing holds no rollups: they are counted from its decisions as they land")
        if table.schema != arrow_schema(kind):
            raise Rejected(f"the table of kind `{kind}` has other columns than the kind; build it with warehouse.columns.table_of")
        places = table.select(["log_partition", "log_offset"]).group_by("log_partition", use_threads=False)
        for place in places.aggregate([("log_offset", "min"), ("log_offset", "max")]).to_pylist():
            first, after = ranges.get(place["log_partition"], (0, 0))
            low, high = place["log_offset_min"], place["log_offset_max"]
            if low is None or not first <= low <= high < after:
                of = f"partition {place['log_partition']}, offsets {low} to {high}"
                raise Rejected(f"kind `{kind}` has rows of {of}; the landing covers {first} up to {after}")


def app_id(log_id: str, topic_id: str, partition: int) -> str:
    """Return the name under which the ledger keeps how far a partition has landed: another log or topic is another name."""
    return f"cz/{log_id}/{topic_id}/{partition}"


def partition_of(app_id: str) -> int:
    """Return the log partition an app id names at its end."""
    return int(app_id.rpartition("/")[2])


def _from_offset(table: pa.Table, partition: int, landed: int) -> pa.Table:
    of_others = pc.not_equal(table["log_partition"], partition)
    return table.filter(pc.or_(of_others, pc.greater_equal(table["log_offset"], landed)))
