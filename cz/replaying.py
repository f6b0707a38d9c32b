"""Where a new ledger begins in the log: at offsets that somebody names, to replay from there, rather than at the log's start."""

from collections.abc import Mapping

from controlzero.errors import Rejected
from processors.work import new_id, now_us
from topics.declarations import DECISIONS
from topics.log import Log
from warehouse.lander import Lander, Landing, app_id
from warehouse.stores import Place


def begin_at(ledger: Place, log: Log, offsets: Mapping[int, int]) -> dict[int, int]:
    """Have the ledger go on from these offsets, durably; return where each partition begins: at its start where none is named.

    Raises `Rejected` where the log does not hold an offset, or the ledger has landed anything of the topic: that it would skip.
    """
    bounds = {partition: log.bounds(DECISIONS.name, partition) for partition in range(log.partitions(DECISIONS.name))}
    for partition, offset in offsets.items():
        if partition not in bounds:
            raise Rejected(f"partition {partition}: {DECISIONS.name} has 0 to {len(bounds) - 1}")
        held = bounds[partition]
        if not held.start <= offset <= held.end:
            raise Rejected(f"partition {partition}: offset {offset} is not in the log, which holds {held.start} up to {held.end}")
    ids = {partition: app_id(log.log_id, log.topic_id(DECISIONS.name), partition) for partition in bounds}
    lander = Lander(ledger, clock=now_us, new_id=new_id)
    if lander.landed(ids.values()):
        raise Rejected(f"{ledger} has landed some of this topic, and goes on from there; begin in a new data folder: name it with --home")
    lander.land(Landing(tables={}, offsets={ids[partition]: (offset, offset) for partition, offset in offsets.items()}))
    return {partition: offsets.get(partition, held.start) for partition, held in bounds.items()}
