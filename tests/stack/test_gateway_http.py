import gzip
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator

import httpx
import pytest
import zstandard
from msgspec.structs import replace

from controlzero.batch import Batch
from controlzero.orders import Order, parse_orders
from controlzero.records import Decision, Rejected
from controlzero.secrets_on_disk import key_list, master_key, project_key, rotate_signing_key
from controlzero.trust import parse_key_list, trusted_keys
from ingest import limits
from ingest.problems import KINDS
from tests.gateways import (
    AUTHORIZED,
    BUNDLE,
    KEYS,
    NDJSON,
    OTHER_SECRET,
    PROJECTS,
    REVOKED_SECRET,
    RunningGateway,
    batches,
    lines,
    prepared,
    records,
    running_gateway,
    tell,
    until_somebody_waits,
    wait_until_ready,
)
from tests.waiting import until
from topics.control import KeyRecord, OrderRecord, control_key
from topics.declarations import CONTROL
from topics.sqlite import SqliteLog


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    with running_gateway(prepared(tmp_path_factory.mktemp("home"))) as gateway:
        wait_until_ready(gateway)
        yield gateway


def batch_of(gateway: RunningGateway, producer_id: str) -> Batch:
    [batch] = [batch for batch in batches(gateway.home) if batch.producer_id == producer_id]
    return batch


def problem_of(response: httpx.Response) -> str:
    """Return the problem's name, once it is shown to be a whole one."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    slug = problem["type"].removeprefix("/docs#")
    assert (problem["status"], problem["title"]) == (response.status_code, KINDS[slug].title)
    assert problem["detail"].endswith(KINDS[slug].next_step)
    return str(slug)


def test_a_batch_is_in_the_log_when_the_answer_comes(gateway: RunningGateway) -> None:
    body = lines(3)
    began_at = time.time_ns() // 1_000
    response = gateway.post(body, CZ_Producer="plain", CZ_First_Seq="7", CZ_Total="12", **{"CZ-Project": "p"}, headers=AUTHORIZED)
    assert (response.status_code, response.json()["accepted"], response.json()["rejected"]) == (202, 3, [])
    batch = batch_of(gateway, "plain")
    assert (batch.project_id, batch.first_seq, batch.count, batch.total, batch.closed, batch.backfill) == ("p", 7, 3, 12, False, False)
    assert began_at <= batch.received_at == response.json()["received_at"] <= time.time_ns() // 1_000
    assert zstandard.ZstdDecompressor().decompress(batch.value) == body


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("zstd", zstandard.compress), ("identity", bytes)],
)
def test_a_compressed_batch_is_the_same_batch(gateway: RunningGateway, encoding: str, compress: object) -> None:
    assert callable(compress)
    response = gateway.post(compress(lines(50)), Content_Encoding=encoding, CZ_Producer=f"as-{encoding}", CZ_First_Seq="0")
    assert response.json()["accepted"] == 50
    assert zstandard.ZstdDecompressor().decompress(batch_of(gateway, f"as-{encoding}").value) == lines(50)


def test_a_whole_zstd_body_is_kept_as_it_came(gateway: RunningGateway) -> None:
    body = zstandard.compress(lines(10), 19)
    assert gateway.post(body, Content_Encoding="zstd", CZ_Producer="kept", CZ_First_Seq="0").status_code == 202
    assert batch_of(gateway, "kept").value == body


def test_a_partly_bad_batch_is_a_202_that_names_each_bad_line(gateway: RunningGateway) -> None:
    first, second, third = lines(3).splitlines()
    body = b"\n".join([first, b'{"kind":"decision","toolname":1}', second, b"\xff", third])
    response = gateway.post(body, CZ_Producer="partly", CZ_First_Seq="100")
    assert response.status_code == 202
    assert response.json()["accepted"] == 3
    assert [(line["line"], line["code"]) for line in response.json()["rejected"]] == [(1, "unknown_field"), (3, "not_utf8")]
    held = records(batch_of(gateway, "partly"))
    assert [type(record) for record in held] == [Decision, Rejected, Decision, Rejected, Decision]
    assert isinstance(held[3], Rejected)
    assert (held[3].bytes, held[3].length, held[3].sha256) == (b"\xff", 1, hashlib.sha256(b"\xff").hexdigest())


def test_a_delivery_without_a_producer_is_closed_and_named_after_its_lines(gateway: RunningGateway) -> None:
    body = lines(2, first=900)
    for sent in (body, gzip.compress(body)):
        encoding = "identity" if sent is body else "gzip"
        assert gateway.post(sent, Content_Encoding=encoding).status_code == 202
    name = "http-" + hashlib.sha256(b"p" + body).hexdigest()[:24]
    repeated = [batch for batch in batches(gateway.home) if batch.producer_id == name]
    assert [(batch.first_seq, batch.count, batch.total, batch.closed) for batch in repeated] == [(0, 2, 2, True)] * 2


def test_an_empty_body_ends_a_producer_in_order(gateway: RunningGateway) -> None:
    response = gateway.post(b"", CZ_Producer="ended", CZ_First_Seq="3", CZ_Total="3", CZ_Closed="1", CZ_Backfill="1")
    assert (response.status_code, response.json()["accepted"]) == (202, 0)
    batch = batch_of(gateway, "ended")
    assert (batch.count, batch.total, batch.closed, batch.backfill, records(batch)) == (0, 3, True, True, [])


def test_an_empty_body_that_ends_nothing_is_refused(gateway: RunningGateway) -> None:
    for body in (b"", b"\n\r\n \n"):
        response = gateway.post(body, CZ_Producer="empty", CZ_First_Seq="0")
        assert (response.status_code, problem_of(response)) == (422, "empty-body")


REFUSED: dict[str, tuple[dict[str, str], bytes, int, str]] = {
    "no key": ({"Content-Type": NDJSON}, lines(1), 401, "no-key"),
    "an unknown key": ({"Authorization": "Bearer cz_live_guessed"}, lines(1), 401, "unknown-key"),
    "a revoked key": ({"Authorization": f"Bearer {REVOKED_SECRET}"}, lines(1), 401, "revoked-key"),
    "another project": ({**AUTHORIZED, "CZ-Project": "q"}, lines(1), 403, "project-not-granted"),
    "no project of two": ({"Authorization": f"Bearer {OTHER_SECRET}"}, lines(1), 422, "project-required"),
    "a form": ({**AUTHORIZED, "Content-Type": "application/x-www-form-urlencoded"}, lines(1), 415, "content-type"),
    "brotli": ({**AUTHORIZED, "Content-Encoding": "br"}, lines(1), 415, "content-encoding"),
    "gzip that is none": ({**AUTHORIZED, "Content-Encoding": "gzip"}, lines(1), 422, "undecodable-body"),
    "zstd cut short": ({**AUTHORIZED, "Content-Encoding": "zstd"}, zstandard.compress(lines(9))[:-3], 422, "undecodable-body"),
    "a wrong number": ({**AUTHORIZED, "CZ-Producer": "x", "CZ-First-Seq": "-1"}, lines(1), 422, "bad-header"),
    "a total that cannot be": ({**AUTHORIZED, "CZ-Producer": "x", "CZ-First-Seq": "5", "CZ-Total": "5"}, lines(1), 422, "bad-header"),
    "too large a body": (AUTHORIZED, b"x" * (limits.BODY_BYTES_MAX + 1), 413, "body-too-large"),
    "a zstd bomb": ({**AUTHORIZED, "Content-Encoding": "zstd"}, zstandard.compress(bytes(200_000_000)), 413, "expanded-too-large"),
    "a gzip bomb": ({**AUTHORIZED, "Content-Encoding": "gzip"}, gzip.compress(bytes(40_000_000)), 413, "expanded-too-large"),
    "too many lines": (AUTHORIZED, b"{}\n" * (limits.LINES_MAX + 1), 413, "too-many-lines"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_a_refusal_is_a_problem_with_a_next_step_and_appends_nothing(gateway: RunningGateway, name: str) -> None:
    headers, body, status, slug = REFUSED[name]
    before = len(batches(gateway.home))
    response = gateway.post(body, {"Content-Type": NDJSON, **headers})
    assert (response.status_code, problem_of(response)) == (status, slug)
    assert ("www-authenticate" in response.headers) == (status == 401)
    assert len(batches(gateway.home)) == before


def test_other_methods_and_pages_are_problems_too(gateway: RunningGateway) -> None:
    with gateway.client() as client:
        refused = client.put("/v1/decisions")
        assert (refused.status_code, refused.headers["allow"], problem_of(refused)) == (405, "POST", "method-not-allowed")
        refused = client.post("/v1/bundle")
        assert (refused.status_code, refused.headers["allow"], problem_of(refused)) == (405, "GET", "method-not-allowed")
        assert problem_of(client.get("/v1/nothing")) == "not-found"


def test_a_body_without_a_length_is_bounded_while_it_arrives(gateway: RunningGateway) -> None:
    response = gateway.post(iter([b"x" * 2**20] * 9))
    assert problem_of(response) == "body-too-large"


def raw_request(gateway: RunningGateway, *pieces: bytes, pause_s: float = 0, wait_s: float = 60) -> bytes:
    """Send pieces over a socket, and return all that comes back until the gateway closes it."""
    with socket.create_connection(("127.0.0.1", int(gateway.url.rpartition(":")[2])), timeout=wait_s) as connection:
        received = b""
        try:
            for piece in pieces:
                connection.sendall(piece)
                time.sleep(pause_s)
            while piece := connection.recv(1 << 16):
                received += piece
        except (ConnectionResetError, BrokenPipeError):
            pass
        return received


def test_the_body_of_a_stranger_is_not_read(gateway: RunningGateway) -> None:
    before = gateway.get("/metrics").text
    announced = b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer guessed\r\nContent-Length: 8000000\r\n\r\n"
    answer = raw_request(gateway, announced)  # not a byte of the body is sent, and the answer comes all the same
    assert answer.startswith(b"HTTP/1.1 401")
    assert b"connection: close" in answer

    def count(text: str, name: str) -> float:
        return float(text.partition(f"\n{name} ")[2].partition("\n")[0])

    after = gateway.get("/metrics").text
    assert count(after, "cz_gateway_unauthenticated_total") == count(before, "cz_gateway_unauthenticated_total") + 1
    assert count(after, "cz_gateway_received_bytes_total") == count(before, "cz_gateway_received_bytes_total")


def test_headers_that_do_not_end_are_cut_off(gateway: RunningGateway) -> None:
    endless = [b"POST /v1/decisions HTTP/1.1\r\nX-Endless: ", *([b"x" * 8192] * 32)]
    began_s = time.monotonic()
    assert raw_request(gateway, *endless) == b""
    assert time.monotonic() - began_s < limits.HEADERS_READ_S_MAX


def test_headers_that_take_too_long_are_cut_off(gateway: RunningGateway) -> None:
    began_s = time.monotonic()
    assert raw_request(gateway, b"POST /v1/decisions HTTP/1.1\r\nHost: x\r\n") == b""
    assert limits.HEADERS_READ_S_MAX <= time.monotonic() - began_s < limits.HEADERS_READ_S_MAX + 10


def test_a_key_made_this_moment_is_known_at_once_and_one_revoked_soon_after(gateway: RunningGateway) -> None:
    secret = "cz_live_made_this_moment"
    made = KeyRecord(key_id="new", prefix=secret[:12], sha256=hashlib.sha256(secret.encode()).hexdigest(), projects=("p",), created_at=1)
    log = SqliteLog(gateway.home / "log.db")
    tell(log, made)
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": NDJSON}
    assert gateway.post(lines(1, first=5_000), headers).status_code == 202
    tell(log, replace(made, revoked_at=2))
    log.close()

    def refusal() -> httpx.Response | None:
        response = gateway.post(lines(1, first=5_000), headers)
        return None if response.status_code == 202 else response

    assert problem_of(until(refusal, "the revocation", within_s=10)) == "revoked-key"


def test_the_bundle_comes_with_the_mode_and_the_projects_key(gateway: RunningGateway) -> None:
    response = gateway.get("/v1/bundle")
    assert (response.status_code, response.content) == (200, BUNDLE.czpolicy)
    assert response.headers["content-type"] == "application/vnd.controlzero.czpolicy"
    assert response.headers["etag"] == f'"{BUNDLE.digest}"'
    assert response.headers["cz-mode"] == "log-only"
    import base64

    assert base64.b64decode(response.headers["cz-project-key"]) == project_key(master_key(gateway.home), "p")


@pytest.mark.parametrize("tags", [f'"{BUNDLE.digest}"', f'W/"{BUNDLE.digest}"', f'"other", "{BUNDLE.digest}"', "*"])
def test_a_bundle_that_is_there_already_is_a_304_with_the_mode(gateway: RunningGateway, tags: str) -> None:
    response = gateway.get("/v1/bundle", If_None_Match=tags)
    assert (response.status_code, response.content, response.headers["cz-mode"]) == (304, b"", "log-only")


def test_another_bundle_is_sent_whole(gateway: RunningGateway) -> None:
    assert gateway.get("/v1/bundle", If_None_Match='"other"').status_code == 200


def test_the_bundle_comes_with_the_keys_that_signed_and_what_each_said_of_the_next(gateway: RunningGateway) -> None:
    rotate_signing_key(gateway.home)
    headers = gateway.get("/v1/bundle").headers
    listed = parse_key_list(f"{headers['cz-signing-key']}, {headers['cz-signing-key-endorsements']}")
    assert listed == key_list(gateway.home)
    newest, before = list(listed.keys)[:2]
    assert trusted_keys({before: listed.keys[before]}, listed).keys() == {newest, before}


def test_a_project_without_a_policy_is_a_404_that_tells_the_mode(gateway: RunningGateway) -> None:
    with gateway.client() as client:
        response = client.get("/v1/bundle?project_id=q", headers={"Authorization": f"Bearer {OTHER_SECRET}"})
    assert (response.status_code, problem_of(response), response.headers["cz-mode"]) == (404, "no-policy-yet", "enforce")


def test_the_bundle_is_for_those_with_a_key_of_the_project(gateway: RunningGateway) -> None:
    with gateway.client() as client:
        assert problem_of(client.get("/v1/bundle")) == "no-key"
    assert problem_of(gateway.get("/v1/bundle?project_id=q")) == "project-not-granted"
    assert problem_of(gateway.get("/v1/bundle?project_id=a/b")) == "bad-parameter"
    assert problem_of(gateway.get("/v1/bundle?wait_s=31")) == "bad-parameter"


def test_who_waits_for_a_change_of_mode_is_told_when_it_comes(gateway: RunningGateway) -> None:
    answers: list[httpx.Response] = []

    def wait() -> None:
        answers.append(gateway.get("/v1/bundle?wait_s=30", If_None_Match=f'"{BUNDLE.digest}"'))

    waiting = threading.Thread(target=wait)
    waiting.start()
    until_somebody_waits(gateway)
    assert gateway.get("/v1/bundle?wait_s=0.3", If_None_Match=f'"{BUNDLE.digest}"').status_code == 304
    assert not answers
    log = SqliteLog(gateway.home / "log.db")
    tell(log, replace(KEYS[0], created_at=2))  # a change, but not of this
    tell(log, replace(PROJECTS[0], mode="enforce"))
    waiting.join(20)
    assert (answers[0].status_code, answers[0].headers["cz-mode"]) == (304, "enforce")
    tell(log, PROJECTS[0])
    log.close()
    until(lambda: gateway.get("/v1/bundle").headers["cz-mode"] == "log-only", "the mode", within_s=10)


def test_orders_wake_who_waits_and_are_sent_until_they_are_lifted(gateway: RunningGateway) -> None:
    order = OrderRecord(order_id="o1", reason="it deletes tables", issued_at=1, issued_by="ada", project_id="p", agent_id="bot")
    of_another = replace(order, order_id="o2", project_id="q")
    answers: list[httpx.Response] = []
    waiting = threading.Thread(target=lambda: answers.append(gateway.get("/v1/bundle?wait_s=30", If_None_Match=f'"{BUNDLE.digest}"')))
    waiting.start()
    until_somebody_waits(gateway)
    log = SqliteLog(gateway.home / "log.db")
    tell(log, of_another)
    assert gateway.get("/v1/bundle?wait_s=1", If_None_Match=f'"{BUNDLE.digest}"').status_code == 304  # not of this project
    assert not answers
    tell(log, order)
    waiting.join(20)
    (answer,) = answers
    assert (answer.status_code, answer.content) == (200, BUNDLE.czpolicy)
    assert parse_orders(answer.headers["cz-orders"]) == (Order("o1", "it deletes tables", "bot"),)
    known = answer.headers["etag"]
    again = gateway.get("/v1/bundle", If_None_Match=known)
    assert (again.status_code, again.headers["cz-orders"]) == (304, answer.headers["cz-orders"])
    log.append(CONTROL.name, [(control_key(each), None, {}) for each in (order, of_another)])
    log.close()
    lifted = gateway.get("/v1/bundle?wait_s=30", If_None_Match=known)
    assert (lifted.status_code, lifted.headers["etag"], "cz-orders" in lifted.headers) == (200, f'"{BUNDLE.digest}"', False)


def test_pages_of_operation_answer_without_a_key(gateway: RunningGateway) -> None:
    with gateway.client() as client:
        assert client.get("/healthz").json()["status"] == "ok"
        assert client.get("/readyz").json() == {"status": "ready"}
        metrics = client.get("/metrics")
        assert metrics.headers["content-type"].startswith("text/plain")
        assert "cz_gateway_append_seconds_bucket" in metrics.text
        assert 'cz_gateway_requests_total{route="bundle",status="200"}' in metrics.text
        assert 'cz_gateway_requests_total{route="decisions",status="202"}' in metrics.text
        assert client.get("/openapi.json").json()["paths"]["/v1/decisions"]["post"]["summary"]
        page = client.get("/docs")
        assert "default-src 'none'" in page.headers["content-security-policy"]
        assert "POST" in page.text


def test_requests_follow_one_another_on_a_connection(gateway: RunningGateway) -> None:
    with gateway.client() as client:
        for number in range(20):
            assert client.post("/v1/decisions", content=lines(1, first=number), headers=AUTHORIZED).status_code == 202
            assert client.post("/v1/decisions", content=b"{", headers=AUTHORIZED).status_code == 202
            assert client.post("/v1/decisions", content=b"{").status_code == 401


def test_the_log_of_the_process_holds_sentences_and_no_payload(gateway: RunningGateway) -> None:
    gateway.post(b'{"a very private thing": 1}', CZ_Producer="private", CZ_First_Seq="0")
    said = (gateway.home / "gateway.log").read_text()
    assert "private thing" not in said
    entries = [json.loads(line) for line in said.splitlines()]
    assert {"event", "level", "timestamp"} <= set(entries[-1])
    assert any(entry.get("producer_id") == "private" and entry["rejected"] == 1 for entry in entries)
