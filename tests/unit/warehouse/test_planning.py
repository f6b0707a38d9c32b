"""Which files become one: few in the open month, full ones in a closed month, and no row rewritten often."""

from collections.abc import Sequence

from warehouse.delta_log import LiveFile
from warehouse.planning import FILE_ROWS, LIVE_FILES_MAX, Merge, merges


def a_file(rows: int, *, stage: str = "m", number: int = 0, month: str = "2026-11") -> LiveFile:
    path = f"kind=decision/received_month={month}/{stage}-{number:032x}-{'0' * 64}.parquet"
    return LiveFile(path=path, kind="decision", month=month, rows=rows, size=rows, min_values={}, max_values={})


def planned(files: Sequence[LiveFile]) -> Merge | None:
    found = merges(files, open_month="2026-11")
    assert len(found) <= 1
    return found[0] if found else None


def test_nothing_is_merged_where_nothing_landed():
    assert planned([a_file(500_000), a_file(400)]) is None


def test_landed_files_join_the_small_merged_ones():
    merge = planned([*(a_file(100, stage="l") for _ in range(10)), a_file(1_500), a_file(40_000)])
    assert sorted(file.rows for file in merge.inputs) == [100] * 10 + [1_500]
    assert merge.outputs == 1


def test_a_full_file_is_left_alone():
    merge = planned([a_file(2_000_000, stage="l"), a_file(FILE_ROWS)])
    assert [file.rows for file in merge.inputs] == [2_000_000]


def test_a_closed_month_ends_with_a_million_rows_in_a_file():
    files = [a_file(400_000, month="2026-10") for _ in range(5)]
    merge = planned([*files, a_file(1_200_000, month="2026-10")])
    assert (len(merge.inputs), merge.outputs) == (5, 2)
    assert planned([a_file(1_000_000, month="2026-10"), a_file(300_000, month="2026-10")]) is None


def test_what_lands_late_in_a_closed_month_is_merged():
    merge = planned([a_file(10, stage="l", month="2026-10"), a_file(1_000_000, month="2026-10")])
    assert [file.rows for file in merge.inputs] == [10]


def test_a_month_of_landings_stays_within_its_files_and_rewrites_each_row_a_few_times():
    landed_rows, passes = 60_000, 1_000
    merged: list[LiveFile] = []
    written = 0
    for number in range(passes):
        landed = a_file(landed_rows, stage="l", number=number)
        merge = planned([*merged, landed])
        rows = sum(file.rows for file in merge.inputs)
        written += rows
        merged = [file for file in merged if file not in merge.inputs]
        merged += [a_file(rows // merge.outputs, number=10_000 + number * 20 + part) for part in range(merge.outputs)]
        assert len(merged) <= LIVE_FILES_MAX
    assert sum(file.rows for file in merged) > 0.999 * landed_rows * passes  # less what the sketch of a split rounds away
    assert written < 8 * landed_rows * passes
