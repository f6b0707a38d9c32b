"""A ledger on a real S3 server lands, merges, forgets and answers as one in a folder does."""

import threading

import pyarrow as pa
import pytest
from deltalake import DeltaTable
from msgspec.structs import replace

from controlzero.errors import Tampered, Unavailable
from controlzero.testing import SettableClock
from dashboards.answers import Archive
from tests.s3_server import S3Server
from warehouse.compaction import Compactor, Content
from warehouse.delta_log import DeltaLog
from warehouse.files import is_landed
from warehouse.lander import Lander, OffsetGap, ledger_id
from warehouse.opening import open_store
from warehouse.removal import GRACE_S, SHARED_ENTRY_GRACE_S, checkpoint, sweep
from warehouse.retention import expire
from warehouse.schema import table_schema
from warehouse.snapshot import Warehouse
from warehouse.stores import Bucket
from warehouse.testing import DECISIONS, a_landing, an_app_id, ids, nothing_from
from warehouse.verification import damages

pytestmark = pytest.mark.needs("s3")
COUNTS = """
SELECT
  (SELECT count(*) FROM decisions)::BIGINT AS decisions, (SELECT count(DISTINCT decision_id) FROM decisions)::BIGINT AS ids,
  (SELECT count(*) FROM outcomes)::BIGINT AS outcomes, (SELECT count(*) FROM findings)::BIGINT AS findings,
  (SELECT count(*) FROM tallies)::BIGINT AS tallies, (SELECT coalesce(sum(decisions), 0) FROM rollup_minute)::BIGINT AS by_minute,
  (SELECT coalesce(sum(decisions), 0) FROM rollup_detail)::BIGINT AS in_detail
"""


def counts(messages: int) -> dict[str, int]:
    decisions = DECISIONS * messages
    return {
        "decisions": decisions,
        "ids": decisions,
        "outcomes": messages,
        "findings": messages,
        "tallies": messages,
        "by_minute": decisions,
        "in_detail": decisions,
    }


def names(bucket: Bucket, folder: str) -> list[str]:
    return [file.name for file in open_store(bucket).listed(folder)]


def data_files(bucket: Bucket) -> set[str]:
    return {name for name in names(bucket, "") if name.startswith("kind=")}


def test_what_landed_is_there_once_however_often_it_is_landed(lander, bucket, clock, ask):
    other = Lander(bucket, clock=clock, new_id=ids(1 << 20))
    lander.land(a_landing(range(3)))
    version = other.land(a_landing(range(5)))
    assert lander.land(a_landing(range(1, 5))) == version
    assert lander.landed([an_app_id(), an_app_id(1)]) == {an_app_id(): 5}
    with pytest.raises(OffsetGap):
        lander.land(a_landing(range(6, 7)))
    assert ask(COUNTS) == [counts(5)]
    assert list(damages(bucket)) == []


def test_landers_that_race_land_everything_once_and_leave_nothing(bucket, clock, ask):
    Lander(bucket, clock=clock, new_id=ids())

    def land(number: int) -> None:
        own = Lander(bucket, clock=clock, new_id=ids(number << 20))
        for offset in range(6):
            own.land(a_landing(range(offset, offset + 2)))

    threads = [threading.Thread(target=land, args=[number]) for number in range(1, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert ask(COUNTS) == [counts(7)]
    assert data_files(bucket) == set(DeltaLog(bucket).files)


def test_merging_changes_no_count(lander, compactor, bucket, ask):
    for offset in range(4):
        lander.land(a_landing(range(offset, offset + 1)))
    assert compactor.compact() > 0
    assert not any(map(is_landed, DeltaLog(bucket).files.values()))
    assert ask(COUNTS) == [counts(4)]
    assert list(damages(bucket)) == []


def test_of_two_compactors_one_is_refused(lander, bucket, clock, ask):
    lander.land(a_landing(range(1)))
    lander.land(a_landing(range(1, 2)))
    one, other = (Compactor(bucket, clock=clock, new_id=ids(number << 40)) for number in (1, 2))
    assert one.compact() > 0
    files = [file for file in other.log.files.values() if file.kind == "decision"]
    with other.database() as database:
        assert not other.exchange(database, files[0].month, tuple(files), [])
    assert ask(COUNTS) == [counts(2)]


def test_rows_past_their_days_go(lander, compactor, clock, ask):
    lander.land(a_landing(range(2)))
    compactor.compact()
    clock.advance(3 * 86_400)
    assert expire(compactor, {"default": {"decision": 1}}) == 2 * DECISIONS
    assert ask("SELECT count(*) AS n FROM decisions") == [{"n": 0}]


def test_replaced_files_go_after_the_grace_also_with_a_keeper_begun_after_a_checkpoint(lander, compactor, bucket, clock):
    for offset in range(3):
        lander.land(a_landing(range(offset, offset + 1)))
    compactor.compact()
    before = data_files(bucket)
    assert checkpoint(compactor.log, entries=3)
    anew = Compactor(bucket, clock=clock, new_id=ids(1 << 40))
    clock.advance(GRACE_S - 1)
    assert sweep(anew.log, now_ms=clock.now // 1000, new_id=anew.new_id) == 0
    assert data_files(bucket) == before
    clock.advance(2)
    assert sweep(compactor.log, now_ms=clock.now // 1000, new_id=compactor.new_id) > 0
    assert data_files(bucket) == set(DeltaLog(bucket).files)


def test_what_a_sleeping_writer_wrote_goes_and_its_commit_is_refused(lander, bucket, elsewhere, now):
    asleep = DeltaLog(bucket)
    open_store(bucket).put({"kind=tally/received_month=2026-09/l-asleep-00.parquet": b"written before it slept"})
    keeper = Compactor(elsewhere, clock=now, new_id=ids(1 << 40))
    now.advance(GRACE_S + 5)
    assert sweep(keeper.log, now_ms=now.now // 1000, new_id=keeper.new_id) == 1
    assert data_files(bucket) == set()
    with pytest.raises(Exception, match="taken by another writer"):
        asleep.commit([], operation="WRITE", at_ms=0, new_id=lambda: "asleep")


def test_a_compactor_that_slept_through_a_sweep_is_refused(lander, compactor, bucket, elsewhere, now, ask):
    lander.land(a_landing(range(2)))
    compactor.log.refresh()
    files = tuple(file for file in compactor.log.files.values() if file.kind == "tally")
    keeper = Compactor(elsewhere, clock=now, new_id=ids(1 << 40))

    def contents():
        yield Content(macro="merged_tally", kind="tally", inputs=files)
        now.advance(GRACE_S + 5)
        assert sweep(keeper.log, now_ms=now.now // 1000, new_id=keeper.new_id) >= 1

    with compactor.database() as database:
        assert not compactor.exchange(database, files[0].month, files, contents())
    assert ask(COUNTS) == [counts(2)]
    assert list(damages(bucket)) == []


def test_entries_before_a_checkpoint_go_after_a_day_and_opening_reads_few(lander, compactor, bucket, now):
    follower = DeltaLog(bucket)
    for offset in range(8):
        lander.land(nothing_from(offset))
    compactor.log.refresh()
    assert checkpoint(compactor.log, entries=5)
    assert not checkpoint(compactor.log, entries=5)
    keeper = Compactor(bucket, clock=now, new_id=ids(1 << 40))
    now.advance(GRACE_S + 5)
    assert sweep(keeper.log, now_ms=now.now // 1000, new_id=keeper.new_id) == 0
    now.advance(SHARED_ENTRY_GRACE_S)
    assert sweep(keeper.log, now_ms=now.now // 1000, new_id=keeper.new_id) >= 8
    assert len(names(bucket, "_delta_log")) == 3  # the checkpoint, its entry and its name
    opened = DeltaLog(bucket)
    assert opened.transaction_version(an_app_id()) == 8
    follower._read_at_s = float("-inf")  # it looked last a long time ago
    follower.refresh()
    assert (follower.version, follower.transaction_version(an_app_id())) == (opened.version, 8)
    assert lander.land(a_landing(range(8, 9))) == opened.version + 1


def test_a_commit_on_a_state_read_long_ago_is_not_made(lander, bucket):
    asleep = DeltaLog(bucket)
    asleep._read_at_s = float("-inf")
    with pytest.raises(Exception, match="too long ago"):
        asleep.commit([], operation="WRITE", at_ms=0, new_id=lambda: "asleep")
    assert DeltaLog(bucket).version == 0


def test_a_reader_fetches_what_it_asks_and_what_is_torn_anew(lander, elsewhere):
    lander.land(a_landing(range(3)))
    warehouse = Warehouse.open(elsewhere, threads=1)
    session = warehouse.session(None)
    assert session.sql("SELECT count(*) AS n FROM tallies", {}).to_pylist() == [{"n": 3}]
    assert {path.parts[-3] for path in elsewhere.cache.glob("kind=*/*/*.parquet")} == {"kind=tally"}
    (kept,) = elsewhere.cache.glob("kind=*/*/*.parquet")
    warehouse.close()
    kept.write_bytes(b"half of it")
    again = Warehouse.open(elsewhere, threads=1)
    assert again.session(None).sql("SELECT count(*) AS n FROM tallies", {}).to_pylist() == [{"n": 3}]
    kept.unlink()  # to make room, while it is listed
    assert again.session(None).sql("SELECT count(*) AS n FROM tallies", {}).to_pylist() == [{"n": 3}]
    again.close()


def test_a_list_whose_files_are_gone_is_refreshed(lander, compactor, bucket, elsewhere):
    lander.land(a_landing(range(1)))
    lander.land(a_landing(range(1, 2)))
    warehouse = Warehouse.open(elsewhere, threads=1)
    session = warehouse.session(None)
    compactor.compact()
    open_store(bucket).remove(sorted(data_files(bucket) - set(DeltaLog(bucket).files)))
    assert session.sql("SELECT count(*) AS n FROM decisions", {}).to_pylist() == [{"n": 6}]
    warehouse.close()


def test_rot_is_found_and_never_read(lander, bucket, elsewhere):
    lander.land(a_landing(range(1)))
    (name,) = (name for name in DeltaLog(bucket).files if "kind=tally" in name)
    store = open_store(bucket)
    content = bytearray(store.get(name))
    content[len(content) // 2] ^= 1
    store._put(name, bytes(content))
    assert [damage.path for damage in damages(bucket)] == [name]
    warehouse = Warehouse.open(elsewhere, threads=1)
    with pytest.raises(Tampered, match="not those that were written"):
        warehouse.session(None).sql("SELECT count(*) FROM tallies", {})
    warehouse.close()


def test_a_disk_that_keeps_nothing_is_named(lander, bucket, tmp_path):
    lander.land(a_landing(range(1)))
    (tmp_path / "no folder").write_text("")
    warehouse = Warehouse.open(replace(bucket, cache=tmp_path / "no folder"), threads=1)
    with pytest.raises(Unavailable, match=r"no folder: Not a directory; files of s3://.*CZ_CACHE_MB"):
        warehouse.session(None).sql("SELECT count(*) FROM tallies", {})
    warehouse.close()


def test_a_ledger_keeps_its_identity(bucket, lander):
    assert ledger_id(bucket, new_id=ids()) == ledger_id(bucket, new_id=ids())


def test_a_store_that_is_away_is_waited_for(s3: S3Server, lander, bucket, clock: SettableClock, ask):
    lander.land(a_landing(range(2)))
    s3.kill()
    try:
        with pytest.raises(Unavailable, match="does not take part") as refused:
            lander.land(a_landing(range(2, 3)))
        assert refused.value.retry_after_s
        with pytest.raises(Unavailable):
            Warehouse.open(bucket, threads=1)
    finally:
        s3.start()
    lander.land(a_landing(range(2, 3)))
    assert ask(COUNTS) == [counts(3)]


def test_refused_credentials_say_what_to_check(bucket, monkeypatch):
    for name, value in (("AWS_SECRET_ACCESS_KEY", "wrong"), ("AWS_ACCESS_KEY_ID", "nobody")):
        monkeypatch.setenv(name, value)
        with pytest.raises(Unavailable, match="check AWS_ACCESS_KEY_ID, AWS_SECRET_ACCESS_KEY"):
            Warehouse.open(bucket)


def test_a_bucket_that_is_not_there_is_named(bucket):
    with pytest.raises(Unavailable, match="no such bucket"):
        Lander(Bucket(url="s3://not-there/ledger", cache=bucket.cache, cache_bytes_max=1, allow_http=True), clock=lambda: 0, new_id=ids())


def test_a_ledger_copied_from_a_folder_goes_on_in_the_bucket(bucket, clock, tmp_path, ask):
    folder = tmp_path / "warehouse" / "ledger"
    before = Lander(folder, clock=clock, new_id=ids(1 << 20))
    for offset in range(4):
        before.land(a_landing(range(offset, offset + 1)))
    compactor = Compactor(folder, clock=clock, new_id=ids(1 << 30))
    compactor.compact()
    assert checkpoint(compactor.log, entries=1)
    store = open_store(bucket)
    for path in sorted(
        path for path in folder.rglob("*") if path.is_file() and path.relative_to(folder).parts[0] not in ("_locks", "_staging")
    ):
        store._put(str(path.relative_to(folder)), path.read_bytes())
    lander = Lander(bucket, clock=clock, new_id=ids(1 << 40))
    assert lander.landed([an_app_id()]) == {an_app_id(): 4}
    lander.land(a_landing(range(4, 6)))
    assert ask(COUNTS) == [counts(6)]
    assert list(damages(bucket)) == []


def test_a_ledger_from_before_a_column_was_added_gains_it(bucket, clock, tmp_path, ask):
    older = pa.schema([field for field in table_schema() if field.name not in ("candidates", "found")])
    DeltaTable.create(str(tmp_path / "older"), older, partition_by=["kind", "received_month"])
    entry = f"_delta_log/{0:020d}.json"
    open_store(bucket)._put(entry, (tmp_path / "older" / entry).read_bytes())
    for start in range(2):
        Lander(bucket, clock=clock, new_id=ids(start << 20)).land(a_landing(range(start, start + 1)))
    with open_store(bucket).opened_log() as log:
        assert {field.name for field in DeltaTable(str(log)).schema().fields} == set(table_schema().names)
    assert len(names(bucket, "_delta_log")) == 4  # made, grown, and landed twice
    assert ask(COUNTS) == [counts(2)]


def test_who_lags_far_behind_reads_all_there_is(lander, bucket):
    follower = DeltaLog(bucket)
    for offset in range(40):
        lander.land(nothing_from(offset))
    assert follower.refresh()
    assert (follower.version, follower.transaction_version(an_app_id())) == (40, 40)
    assert not follower.refresh()


def test_pages_ask_a_ledger_in_a_bucket(lander, elsewhere):
    lander.land(a_landing(range(2)))
    with Archive(elsewhere).asking("default") as answers:
        assert answers.row("any_decision")
        assert answers.row("decisions_landed")["held"] == 2 * DECISIONS
