"""A worker killed at any write, fsync, link, rename or removal: the next one lands the rest, and nothing lands twice."""

from collections import Counter
from pathlib import Path
from random import Random

from controlzero.secrets_on_disk import master_key
from processors.embedded import open_worker
from processors.settings import Settings
from tests import traffic
from tests.dying_workers import Order, dying_workers
from topics.sqlite import SqliteLog

CALLS = 90  # a worker lives for as many on average; it begins with one for each entry of the ledger's log, and a commit is some fifteen


def killed_until_done(folder: Path, *, seed: int, messages: int) -> Counter[str]:
    """Land a log by workers that are killed again and again; compare the ledger with one of an undisturbed worker."""
    random = Random(seed)
    home = folder / f"killed {seed}"
    log = SqliteLog(home / "log.db")
    master_key(folder)
    (home / "keys").symlink_to(folder / "keys")
    traffic.append_all(log, list(traffic.messages(seed, messages)))
    died: Counter[str] = Counter()
    with dying_workers() as run:
        while True:
            order = Order(
                home=str(home), messages=random.randrange(1, 12), nth=1 + int(random.expovariate(1 / CALLS)), after=random.random() < 0.5
            )
            death = run(order)
            assert death.error is None
            if death.call is None:
                break
            died[death.call] += 1
    assert_as_if_undisturbed(folder, home, log)
    log.close()
    return died


def assert_as_if_undisturbed(folder: Path, home: Path, log: SqliteLog) -> None:
    held = traffic.contents(Settings(home=home).ledger_path)
    traffic.assert_conserved(held, log)
    other = folder / f"undisturbed {home.name}"
    other.mkdir()
    (other / "keys").symlink_to(folder / "keys")
    worker = open_worker(Settings(home=other), log)
    while worker.tick() != "idle":
        pass
    assert held == traffic.contents(Settings(home=other).ledger_path)


def test_a_worker_killed_again_and_again_lands_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    died: Counter[str] = Counter()
    for seed in range(2):
        died += killed_until_done(tmp_path, seed=seed, messages=90)
    assert sum(died.values()) >= 6, died
