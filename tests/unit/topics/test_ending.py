"""Being told to end: whoever waits goes on, and a signal is heard wherever it interrupts."""

import subprocess
import sys
import threading

from topics.ending import Ending

# Asked for by a signal thousands of times, at every place of a loop that waits a moment at a time.
INTERRUPTED = """
import random, signal
from topics.ending import Ending
for _ in range(5_000):
    ending = Ending()
    signal.signal(signal.SIGALRM, ending.ask)
    signal.setitimer(signal.ITIMER_REAL, random.uniform(1e-5, 4e-4))
    while not ending.is_asked:
        ending.wait(5e-5)
print("heard")
"""


def test_a_signal_is_heard_wherever_it_interrupts() -> None:
    done = subprocess.run([sys.executable, "-c", INTERRUPTED], capture_output=True, text=True, timeout=60, check=False)
    assert (done.stdout, done.stderr) == ("heard\n", "")


def test_everybody_who_waits_goes_on_and_so_does_whoever_comes_later() -> None:
    ending, went_on = Ending(), list[bool]()
    waiting = [threading.Thread(target=lambda: went_on.append(ending.wait(60))) for _ in range(4)]
    for thread in waiting:
        thread.start()
    ending.ask()
    for thread in waiting:
        thread.join(60)
    assert went_on == [True] * 4
    assert ending.wait()


def test_a_time_that_passes_is_no_end() -> None:
    ending = Ending()
    assert not ending.wait(0)
    assert not ending.wait(0.001)
    assert not ending.is_asked
