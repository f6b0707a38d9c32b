import os
import re
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.ledgers import Grown, empty_home, grown_home

ROOT = Path(__file__).parents[2]
SCREENSHOTS = ROOT / "ci-output" / "screenshots"
START_WITHIN_S = 120
TALL_PX = 4_000
WITHIN_MS = 90_000  # on a machine that many share
ARGUMENTS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
# Opened at a page's own address, Streamlit first asks for these beside it, and then at the root.
ASKED_BESIDE_A_PAGE = re.compile(r"/[a-z]+/_stcore/(health|host-config)$")
IS_DRAWN = "[data-testid=stApp][data-test-script-state=notRunning]"


@dataclass
class Server:
    """The pages over a data folder, as `python -m dashboards` serves them."""

    url: str
    log: Path


@dataclass
class Visit:
    """A page in the browser, and what it did that no page may."""

    page: object
    elsewhere: list[str] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def open(self, url: str) -> None:
        self.page.goto(url)  # type: ignore[attr-defined]
        self.wait()

    def wait(self) -> None:
        """Wait until the script ended and everything it drew is there."""
        self.page.wait_for_selector("[data-testid=stMain] h1")  # type: ignore[attr-defined]
        self.page.wait_for_selector(IS_DRAWN)  # type: ignore[attr-defined]
        self.page.wait_for_function("!document.querySelector('[data-testid=stSkeleton]')")  # type: ignore[attr-defined]

    def text(self) -> str:
        return str(self.page.inner_text("[data-testid=stMain]"))  # type: ignore[attr-defined]

    def picture(self, name: str, width: int) -> None:
        """Keep a picture of the whole page."""
        SCREENSHOTS.mkdir(parents=True, exist_ok=True)
        self.page.wait_for_timeout(400)  # type: ignore[attr-defined]  # charts fade in for 250 ms
        height = self.page.evaluate("document.querySelector('[data-testid=stMain]').scrollHeight")  # type: ignore[attr-defined]
        self.page.set_viewport_size({"width": width, "height": min(max(height + 20, 700), TALL_PX)})  # type: ignore[attr-defined]
        self.page.wait_for_timeout(300)  # type: ignore[attr-defined]
        self.page.screenshot(path=SCREENSHOTS / f"{name}.png")  # type: ignore[attr-defined]

    def check(self) -> None:
        """Once it is drawn, fail on what no page may do: ask another host, log an error, show a traceback, say `blocked`, or overflow."""
        self.wait()
        text = self.text()
        assert not self.elsewhere
        assert not self.errors
        assert not self.page.query_selector("[data-testid=stException]")  # type: ignore[attr-defined]
        assert "Traceback" not in text
        assert "could not be drawn" not in text
        assert "blocked" not in text.lower()
        wide, seen = self.page.evaluate(
            "(() => { const main = document.querySelector('[data-testid=stMain]'); return [main.scrollWidth, main.clientWidth] })()"
        )  # type: ignore[attr-defined]
        assert wide <= seen, "the page is wider than the screen"


@pytest.fixture(scope="session")
def grown(tmp_path_factory: pytest.TempPathFactory) -> Grown:
    return grown_home(tmp_path_factory.mktemp("grown"), now_us=time.time_ns() // 1000, per_day=150)


@pytest.fixture(scope="session")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[Path], Server]]:
    """Start servers over data folders; all of them end with the tests."""
    started: list[subprocess.Popen[bytes]] = []

    def start(home: Path) -> Server:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        log = tmp_path_factory.mktemp("log") / "dashboards.log"
        with log.open("wb") as output:
            command = [sys.executable, "-m", "dashboards", "--home", str(home), "--port", str(port), "--as", "tester"]
            elsewhere = tmp_path_factory.mktemp("cwd")  # no folder of ours: the pages start from anywhere
            started.append(
                subprocess.Popen(command, cwd=elsewhere, stdout=output, stderr=output, env={**os.environ, "HOME": str(elsewhere)})
            )
        server = Server(url=f"http://127.0.0.1:{port}", log=log)
        _wait_until_healthy(server, started[-1])
        return server

    yield start
    for process in started:
        process.terminate()
    for process in started:
        process.wait(timeout=20)


@pytest.fixture(scope="session")
def grown_server(serve: Callable[[Path], Server], grown: Grown) -> Server:
    return serve(grown.home)


@pytest.fixture(scope="session")
def empty_server(serve: Callable[[Path], Server], tmp_path_factory: pytest.TempPathFactory) -> Server:
    return serve(empty_home(tmp_path_factory.mktemp("empty"), now_us=time.time_ns() // 1000))


@pytest.fixture(scope="session")
def browse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Visit]]:
    """Open tabs at a width, in a theme; a browser for each pair is kept for all tests."""
    from playwright.sync_api import sync_playwright

    contexts: dict[tuple[int, str], object] = {}
    with sync_playwright() as playwright:

        def tab(*, width: int = 1280, theme: str = "light") -> Visit:
            context = contexts.get((width, theme))
            if context is None:
                context = playwright.chromium.launch_persistent_context(
                    tmp_path_factory.mktemp("chromium"), executable_path="/usr/bin/chromium", args=ARGUMENTS, viewport={"width": width, "height": 900}, color_scheme=theme, accept_downloads=True
                )  # fmt: skip
                context.set_default_timeout(WITHIN_MS)
                contexts[width, theme] = context
            visit = Visit(context.new_page())  # type: ignore[attr-defined]
            _watch(visit)
            return visit

        yield tab
        for context in contexts.values():
            context.close()  # type: ignore[attr-defined]


def _watch(visit: Visit) -> None:
    def on_request(request: object) -> None:
        if not request.url.startswith(("http://127.0.0.1:", "data:", "blob:")):  # type: ignore[attr-defined]
            visit.elsewhere.append(request.url)  # type: ignore[attr-defined]

    def on_console(message: object) -> None:
        if message.type == "error" and not ASKED_BESIDE_A_PAGE.search(message.location.get("url", "")):  # type: ignore[attr-defined]
            visit.errors.append(f"{message.text} {message.location}")  # type: ignore[attr-defined]

    visit.page.on("request", on_request)  # type: ignore[attr-defined]
    visit.page.on("websocket", lambda socket: None if socket.url.startswith("ws://127.0.0.1:") else visit.elsewhere.append(socket.url))  # type: ignore[attr-defined]
    visit.page.on("console", on_console)  # type: ignore[attr-defined]
    visit.page.on("pageerror", lambda error: visit.errors.append(str(error)))  # type: ignore[attr-defined]


def _wait_until_healthy(server: Server, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_WITHIN_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            with urllib.request.urlopen(f"{server.url}/_stcore/health", timeout=1) as answer:
                if answer.status == 200:
                    return
        except OSError:
            time.sleep(0.1)
    pytest.fail(f"the dashboards do not start:\n{server.log.read_text()[-2_000:]}")
