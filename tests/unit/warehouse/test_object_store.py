"""An object store that does not do what the ledger rests on is refused before anything is written."""

from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from pathlib import Path

import pytest

from controlzero.errors import Tampered
from tests.http_servers import Answering, address, serving
from warehouse.lander import Lander
from warehouse.stores import Bucket
from warehouse.testing import ids


class TakesEveryPut(Answering):
    """A store that knows no conditions, as older ones."""

    taken: list[str] = []

    def do_PUT(self) -> None:
        self.body()
        self.taken.append(self.path)
        self.answer(200, b"", ETag='"0"')

    def do_GET(self) -> None:
        self.answer(404, b"")


@pytest.fixture
def endpoint() -> Iterator[str]:
    with serving(ThreadingHTTPServer(("127.0.0.1", 0), TakesEveryPut)) as server:
        yield address(server)


def test_a_store_that_knows_no_conditions_is_refused(endpoint, tmp_path: Path, monkeypatch):
    for name, value in {"AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b", "AWS_REGION": "r"}.items():
        monkeypatch.setenv(name, value)
    bucket = Bucket(url="s3://any/ledger", cache=tmp_path, cache_bytes_max=1, allow_http=True)
    with pytest.raises(Tampered, match="does not refuse a conditional put"):
        Lander(bucket, clock=lambda: 0, new_id=ids())
    assert set(TakesEveryPut.taken) == {"/any/ledger/_probe"}
