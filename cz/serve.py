"""`python -m cz.serve`: the gateway, and the control plane's interface at the same address.

Decisions are taken and bundles handed out whether the control plane's database answers or not.
"""

import argparse
import gc
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import partial

from controlplane.api.app import api_app, openapi_of, problem_rows
from controlplane.api.bounds import LIMITS, Bounded
from controlplane.api.opening import Opened
from controlzero.errors import ControlZeroError
from cz import settings
from cz.home import Home
from cz.plane import plane_over
from ingest.beside import Beside
from ingest.server import gateway_over, serve_gateway
from ingest.settings import Settings
from topics.settings import ending_in_a_sentence

USE_KEPT_EVERY_S = 30.0  # when keys were last used is kept to that


def main() -> None:
    """Read the arguments and the environment, then serve until told to stop."""
    parser = argparse.ArgumentParser(prog="python -m cz.serve", description="The gateway with the control plane's interface.")
    parser.add_argument("--host", default=settings.DEFAULT_HOST)
    parser.add_argument("--port", type=int, default=settings.DEFAULT_PORT, help="0 takes a free one (default: %(default)s)")
    arguments = parser.parse_args()
    with ending_in_a_sentence():
        serve(Settings(), host=arguments.host, port=arguments.port)


def serve(read: Settings, *, host: str, port: int) -> None:
    """Serve until SIGTERM or SIGINT."""
    opened = Opened(lambda: plane_over(Home(read.home)))
    api = api_app(opened)
    beside = Beside(
        app=Bounded(api, admit=api.state.asking.admit, monotonic=time.monotonic),
        openapi=partial(openapi_of, api),
        problems=problem_rows(),
        limits=LIMITS,
    )
    gateway, log_side = gateway_over(read, beside)
    ended = threading.Event()
    keeping = threading.Thread(target=keep_use, args=(opened, (log_side.used_at, api.state.asking.used_at), ended), name="use")
    keeping.start()
    gc.freeze()  # what is loaded by now stays: no collection needs to look at it while decisions come in
    try:
        serve_gateway(gateway, log_side, host=host, port=port)
    finally:
        ended.set()
        keeping.join()
        opened.close()


def keep_use(opened: Opened, used_at: Sequence[dict[str, int]], ended: threading.Event) -> None:
    """Keep when keys were last used, every half minute and once more at the end; while the database is away it waits."""
    kept: dict[str, int] = {}
    is_last = False
    while not is_last:
        is_last = ended.wait(USE_KEPT_EVERY_S)
        seen = [dict(each) for each in used_at]
        now = {key_id: max(each.get(key_id, 0) for each in seen) for each in seen for key_id in each}
        fresh = {key_id: at for key_id, at in now.items() if kept.get(key_id) != at}
        with suppress(ControlZeroError):
            if fresh:
                opened.plane().note_use(fresh)
            kept = now


if __name__ == "__main__":
    main()
