"""Wait until the demonstration's dashboard shows, in a real Chromium, a decision made after it was opened.

Usage: see_live_decision.py HOME [SECONDS]. Ends the demonstration; exit code 1 where nothing live showed.
"""

import json
import os
import re
import signal
import sys
import tempfile
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
FLAGS += ["--disable-component-update", "--disable-sync"]


def main() -> int:
    home, within_s = Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else 180.0
    deadline = time.monotonic() + within_s
    note = home / "run" / "up.json"
    while not note.exists():
        if time.monotonic() > deadline:
            print("the demonstration did not come up")
            return 1
        time.sleep(0.2)
    running = json.loads(note.read_bytes())
    try:
        return _see(running["dashboards_url"], deadline)
    finally:
        os.kill(running["pid"], signal.SIGTERM)


def _see(url: str, deadline: float) -> int:
    """Two looks at the Overview's count of decisions: it must have grown while the page stayed open."""
    foreign: list[str] = []
    with tempfile.TemporaryDirectory() as fresh, sync_playwright() as playwright:
        browser = playwright.chromium.launch_persistent_context(fresh, executable_path="/usr/bin/chromium", args=FLAGS)
        page = browser.new_page()
        page.on(
            "request",
            lambda request: (
                foreign.append(request.url) if "127.0.0.1" not in request.url and not request.url.startswith(("data:", "blob:")) else None
            ),
        )
        page.goto(f"{url}/?project=acme&range=15m")
        before = None
        while time.monotonic() < deadline:
            text = page.inner_text("body")
            found = re.search(r"Decisions\s+([\d,]+)", text)
            count = int(found.group(1).replace(",", "")) if found else None
            if before is None:
                before = count
            elif count is not None and count > before:
                page.screenshot(path="ci-output/demo.png", full_page=True)
                print(f"live: {before} decisions became {count} while the page was open")
                return 1 if foreign else 0
            time.sleep(1.0)
    print(f"no live decision showed; requests elsewhere: {foreign[:3]}")
    return 1


if __name__ == "__main__":
    sys.exit(main())
