"""An object store that does not do what the ledger rests on is refused before anything is written."""

import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from controlzero.errors import Tampered
from warehouse.lander import Lander
from warehouse.stores import Bucket
from warehouse.testing import ids


class TakesEveryPut(BaseHTTPRequestHandler):
    """A store that knows no conditions, as older ones."""

    taken: list[str] = []

    def do_PUT(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(self.path)
        self._answer(200)

    def do_GET(self) -> None:
        self._answer(404)

    def _answer(self, status: int) -> None:
        self.send_response(status)
        self.send_header("ETag", '"0"')
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002
        """Say nothing."""


@pytest.fixture
def endpoint() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), TakesEveryPut)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_store_that_knows_no_conditions_is_refused(endpoint, tmp_path: Path, monkeypatch):
    for name, value in {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "r"}.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(url="s3://any/ledger", cache=tmp_path, cache_bytes_max=1, allow_http=True)
    with pytest.raises(Tampered, match="does not refuse a conditional put"):
        Lander(bucket, clock=lambda: 0, new_id=ids())
    assert set(TakesEveryPut.taken) == {"/any/ledger/_probe"}
