"""The sender: everything arrives once, whatever the gateway answers, and dead processes' spools arrive too."""

import multiprocessing
import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path

import httpx
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from controlzero.errors import Unavailable
from controlzero.ids import new_id
from controlzero.recorder import folders
from controlzero.recorder.backlog import Batch, SpoolBacklog
from controlzero.recorder.entries import entry_of
from controlzero.recorder.folders import Destination
from controlzero.recorder.link import BACKOFF_S_FIRST, BACKOFF_S_MAX, HttpLink, backoff_s, step_after
from controlzero.recorder.recording import Recorder
from controlzero.recorder.sender import FLUSH_INTERVAL_S
from controlzero.recorder.spool import Spool
from controlzero.records import Loss, encode_record
from controlzero.testing import STARTED_AT, InMemoryGateway, SettableClock, a_decision
from tests.http_servers import serving
from tests.waiting import until

DESTINATION = Destination("default", "http://gateway")
WAIT_S = 10.0


@pytest.fixture
def gateway() -> InMemoryGateway:
    return InMemoryGateway()


@pytest.fixture
def recorder(gateway: InMemoryGateway, tmp_path: Path) -> Iterator[Recorder]:
    recorder = a_recorder(gateway, tmp_path)
    yield recorder
    recorder.close()


def a_recorder(gateway: InMemoryGateway | None, root: Path, **limits: int) -> Recorder:
    link = None if gateway is None else HttpLink("http://gateway", "cz_test_key", transport=gateway)
    return Recorder(DESTINATION, root=root, link=link, clock=SettableClock(), new_id=new_id, **limits)


def a_line(number: int = 0) -> bytes:
    return encode_record(a_decision(evaluated_rules=number))


def numbers(gateway: InMemoryGateway) -> list[int]:
    return [decision.evaluated_rules for decision in gateway.decisions()]


def left_behind(root: Path, lines: list[bytes], *, ends: bool, destination: Destination = DESTINATION) -> str:
    """Leave a spool as a process does that is gone."""
    spool = Spool(folders.begin(root, destination, new_id(STARTED_AT)), clock=SettableClock())
    for line in lines:
        spool.append(entry_of(line))
    if ends:
        spool.end()
    spool.abandon()
    return spool.producer_id


def test_records_arrive_in_order_with_their_numbers_and_an_orderly_end(recorder: Recorder, gateway: InMemoryGateway) -> None:
    for number in range(1_200):
        assert recorder.record(a_line(number))
    producer = recorder.producer_id
    assert recorder.close(WAIT_S)
    assert numbers(gateway) == list(range(1_200))
    assert gateway.closed == {producer: 1_200}
    assert producer is not None
    assert sorted(gateway.lines(producer)) == list(range(1_200))


def test_a_delivered_producer_leaves_nothing_on_disk(recorder: Recorder, tmp_path: Path) -> None:
    recorder.record(a_line())
    assert recorder.close(WAIT_S)
    assert [path.name for path in (tmp_path / DESTINATION.folder_name).iterdir()] == ["destination.json"]


@pytest.mark.parametrize(
    "answer",
    [408, 429, 500, 503, 401, 403, 400, 404, 422, 301, httpx.ConnectError("down"), httpx.ReadTimeout("slow"), RuntimeError("unforeseen")],
)
def test_no_answer_but_202_loses_or_doubles_a_record(answer: int | Exception, recorder: Recorder, gateway: InMemoryGateway) -> None:
    gateway.answers.append(answer)
    recorder.record(a_line(1))
    recorder.flush(WAIT_S)
    assert not gateway.answers
    recorder.record(a_line(2))
    assert recorder.flush(WAIT_S)
    assert numbers(gateway) == [1, 2]
    assert gateway.conflicts == []


def test_an_answer_that_got_lost_makes_a_repeat_and_no_conflict(recorder: Recorder, gateway: InMemoryGateway) -> None:
    """The batch is durable, its 202 is not: the same lines come again under the same numbers."""
    recorder.record(a_line(1))
    with_answer_lost = gateway._take

    def take(headers: httpx.Headers, body: bytes) -> httpx.Response:
        with_answer_lost(headers, body)
        gateway._take = with_answer_lost  # type: ignore[method-assign]
        raise httpx.ReadError("cut")

    gateway._take = take  # type: ignore[method-assign]
    recorder.flush(WAIT_S)
    recorder.record(a_line(2))
    assert recorder.flush(WAIT_S)
    assert numbers(gateway) == [1, 2]
    assert gateway.conflicts == []


def test_a_batch_too_large_is_split(tmp_path: Path) -> None:
    gateway = InMemoryGateway(bytes_max=4 * len(a_line(1)))
    recorder = a_recorder(gateway, tmp_path)
    for number in range(50):
        recorder.record(a_line(number))
    assert recorder.close(WAIT_S)
    assert numbers(gateway) == list(range(50))


def test_a_record_too_large_for_any_batch_is_reported_as_lost_in_its_place(tmp_path: Path) -> None:
    gateway = InMemoryGateway(bytes_max=1_000)
    recorder = a_recorder(gateway, tmp_path)
    recorder.record(a_line(1))
    recorder.record(encode_record(a_decision(reason="x" * 2_000)))
    recorder.record(a_line(2))
    assert recorder.close(WAIT_S)
    assert numbers(gateway) == [1, 2]
    (loss,) = [record for record in gateway.records() if isinstance(record, Loss)]
    assert (loss.reason, loss.count, loss.occurred_at) == ("unencodable", 1, STARTED_AT)
    assert gateway.closed == dict.fromkeys(gateway.producers(), 3)


def test_spools_of_dead_processes_arrive_and_only_an_orderly_end_is_closed(tmp_path: Path, gateway: InMemoryGateway) -> None:
    ended = left_behind(tmp_path, [a_line(1), a_line(2)], ends=True)
    killed = left_behind(tmp_path, [a_line(3)], ends=False)
    empty = left_behind(tmp_path, [], ends=False)
    recorder = a_recorder(gateway, tmp_path)
    recorder.record(a_line(4))
    until(lambda: not any((tmp_path / DESTINATION.folder_name / name).exists() for name in (ended, killed, empty)))
    assert recorder.close(WAIT_S)
    assert sorted(numbers(gateway)) == [1, 2, 3, 4]
    assert gateway.closed.get(ended) == 2
    assert killed not in gateway.closed
    assert empty not in gateway.producers()


def test_records_made_without_a_server_arrive_once_there_is_one(tmp_path: Path, gateway: InMemoryGateway) -> None:
    local = left_behind(tmp_path, [a_line(1)], ends=True, destination=Destination("default"))
    left_behind(tmp_path, [a_line(9)], ends=True, destination=Destination("another-project"))
    recorder = a_recorder(gateway, tmp_path)
    recorder.record(a_line(2))
    until(lambda: local in gateway.closed)
    assert recorder.close(WAIT_S)
    assert sorted(numbers(gateway)) == [1, 2]


def test_a_gateway_that_is_away_leaves_the_records_to_the_next_process(tmp_path: Path, gateway: InMemoryGateway) -> None:
    gateway.answers.extend([httpx.ConnectError("down")] * 5)
    recorder = a_recorder(gateway, tmp_path)
    recorder.record(a_line(1))
    producer = recorder.producer_id
    assert not recorder.close(WAIT_S)
    gateway.answers.clear()
    later = a_recorder(gateway, tmp_path)
    later.record(a_line(2))
    until(lambda: producer in gateway.closed)
    assert later.close(WAIT_S)
    assert sorted(numbers(gateway)) == [1, 2]


def test_after_its_end_a_recorder_goes_on_as_another_producer(recorder: Recorder, gateway: InMemoryGateway) -> None:
    recorder.record(a_line(1))
    assert recorder.close(WAIT_S)
    recorder.record(a_line(2))
    assert recorder.close(WAIT_S)
    assert numbers(gateway) == [1, 2]
    assert sorted(gateway.closed.values()) == [1, 1]


def test_without_a_server_records_stay(tmp_path: Path) -> None:
    recorder = a_recorder(None, tmp_path)
    recorder.record(a_line(1))
    assert not recorder.close(), "nothing is delivered"
    (claim,) = folders.abandoned(tmp_path, DESTINATION)
    assert folders.has_ended(claim.folder)
    assert folders.segment_path(claim.folder, 0).read_bytes() == b"\x1e" + a_line(1) + b"\n"


def test_a_folder_that_cannot_be_written_gives_way_to_another_and_to_memory(
    tmp_path: Path, gateway: InMemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    blocked = tmp_path / "file"
    blocked.write_bytes(b"")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "tmp"))
    (tmp_path / "tmp").mkdir()
    recorder = a_recorder(gateway, blocked / "spool")
    assert recorder.record(a_line(1))
    assert recorder.close(WAIT_S)
    monkeypatch.setattr("tempfile.tempdir", str(blocked))
    recorder = a_recorder(gateway, blocked / "spool")
    assert recorder.record(a_line(2))
    assert recorder.close(WAIT_S)
    assert numbers(gateway) == [1, 2]
    assert list(gateway.closed.values()) == [1, 1]


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Among the temporary files anybody may have made it first."""
    monkeypatch.setattr("os.getuid", lambda: 12_345)
    with pytest.raises(PermissionError, match="belongs to another user"):
        folders.begin(tmp_path / "spool", DESTINATION, new_id(STARTED_AT))


def test_a_spool_deleted_under_way_begins_another_producer(recorder: Recorder, gateway: InMemoryGateway, tmp_path: Path) -> None:
    recorder.record(a_line(1))
    assert recorder.flush(WAIT_S)
    first = recorder.producer_id
    for segment in folders.segments(tmp_path / DESTINATION.folder_name / str(first)):
        segment.unlink()
    recorder.record(a_line(2))
    recorder.flush(WAIT_S)
    recorder.record(a_line(3))
    assert recorder.close(WAIT_S)
    assert numbers(gateway)[-1] == 3
    assert first not in gateway.closed, "what was in the deleted spool is not proven"


@pytest.mark.filterwarnings("ignore:This process")  # 3.12 warns of forking beside threads, which is the point
def test_a_forked_child_is_another_producer_and_leaves_its_parents_alone(
    recorder: Recorder, gateway: InMemoryGateway, tmp_path: Path
) -> None:
    recorder.record(a_line(1))
    parent = recorder.producer_id
    child = os.fork()
    if child == 0:  # the child has no sender of its own memory: what it spools is adopted
        try:
            recorder.record(a_line(2))
            os._exit(0 if recorder.producer_id != parent else 1)
        finally:
            os._exit(2)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    recorder.record(a_line(3))
    assert recorder.close(WAIT_S)
    (claim,) = folders.abandoned(tmp_path, DESTINATION)
    assert claim.producer_id != parent
    folders.release(claim)
    later = a_recorder(gateway, tmp_path)
    later.record(a_line(4))
    until(lambda: not claim.folder.exists())
    assert later.close(WAIT_S)
    assert sorted(numbers(gateway)) == [1, 2, 3, 4]
    assert gateway.closed[str(parent)] == 2


def _record_in_child(root: Path) -> None:
    a_recorder(None, root).record(a_line(1))


@pytest.mark.filterwarnings("ignore:This process")
def test_a_multiprocessing_child_ends_in_order(tmp_path: Path) -> None:
    process = multiprocessing.get_context("fork").Process(target=_record_in_child, args=(tmp_path,))
    process.start()
    process.join()
    (claim,) = folders.abandoned(tmp_path, DESTINATION)
    assert folders.has_ended(claim.folder)


def test_many_threads_record_while_the_sender_delivers(recorder: Recorder, gateway: InMemoryGateway) -> None:
    def write() -> None:
        for number in range(2_000):
            assert recorder.record(a_line(number))

    threads = [threading.Thread(target=write) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    producer = recorder.producer_id
    assert recorder.close(WAIT_S)
    assert gateway.closed == {producer: 16_000}
    assert producer is not None
    assert sorted(gateway.lines(producer)) == list(range(16_000))
    assert gateway.conflicts == []


def test_records_made_while_the_sender_looks_for_some_are_gathered(
    recorder: Recorder, gateway: InMemoryGateway, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They ring, as nobody was seen at work; the sender has seen them by then and still waits for more."""
    look, looks = SpoolBacklog.next_batch, 0

    def look_while_one_is_made(backlog: SpoolBacklog, **limits: int) -> Batch | None:
        nonlocal looks
        if limits.get("records_max") == 1:
            looks += 1
            recorder.record(a_line(looks))
        return look(backlog, **limits)

    monkeypatch.setattr(SpoolBacklog, "next_batch", look_while_one_is_made)
    started = time.monotonic()
    recorder.record(a_line(0))
    time.sleep(10 * FLUSH_INTERVAL_S)
    passes = (time.monotonic() - started) / FLUSH_INTERVAL_S
    assert 1 < looks <= 2 + passes
    monkeypatch.undo()
    assert recorder.flush(WAIT_S)
    assert sorted(numbers(gateway)) == list(range(looks + 1))


def test_a_certificate_that_nobody_signed_is_refused_on_this_machine_too(tmp_path: Path) -> None:
    with tls_server(tmp_path) as port:
        link = HttpLink(f"https://127.0.0.1:{port}", "cz_test_key")
        with pytest.raises(Unavailable, match="CERTIFICATE_VERIFY_FAILED"):
            link.bundle(None, etag=None)
        link.close()


@contextmanager
def tls_server(folder: Path) -> Iterator[int]:
    """Serve TLS on 127.0.0.1 under a certificate of its own making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number(), now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + certificate.public_bytes(Encoding.PEM))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(path)
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
    with serving(server):
        yield server.server_port


def test_every_status_has_its_step() -> None:
    assert {status: step_after(status) for status in (202, 413, 408, 429, 500, 503, 401, 403, 422, 400, 404, 302, 200)} == {
        202: "go_on",
        413: "split",
        408: "again",
        429: "again",
        500: "again",
        503: "again",
        401: "hold",
        403: "hold",
        422: "hold",
        400: "hold",
        404: "hold",
        302: "hold",
        200: "hold",
    }


def test_backoff_grows_to_its_bound_keeps_half_and_honours_the_gateway() -> None:
    assert backoff_s(1, retry_after_s=None, jitter=0.0) == BACKOFF_S_FIRST / 2
    assert [backoff_s(n, retry_after_s=None, jitter=1.0) for n in (1, 2, 3)] == [0.25, 0.5, 1.0]
    assert backoff_s(10_000, retry_after_s=None, jitter=1.0) == BACKOFF_S_MAX
    assert backoff_s(1, retry_after_s=7, jitter=0.0) == 7
    assert backoff_s(1, retry_after_s=10**9, jitter=0.0) == 300


def test_what_waits_says_where_it_is_to_go(tmp_path: Path) -> None:
    left_behind(tmp_path, [a_line()], ends=True)
    described = (tmp_path / DESTINATION.folder_name / "destination.json").read_bytes()
    assert msgspec.json.decode(described, type=Destination) == DESTINATION
