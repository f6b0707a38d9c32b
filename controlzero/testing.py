"""Doubles for tests of agents, and of this package: a settable clock, a gateway in memory, a decision to change.

gateway = InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]})
with Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, spool=tmp_path) as cz:
    cz.guard("database", method="query")
assert gateway.decisions()[0].action == "database:query"
"""

import base64
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any

import httpx
import msgspec
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from msgspec import structs

from controlzero import policy as policies
from controlzero.bundle import Bundle, key_id, sign
from controlzero.orders import Order, orders_text
from controlzero.records import AGENT_RECORDS, Decision, Loss, Mode, Outcome
from controlzero.session import Session, Tool
from controlzero.trust import KeyList, endorse, key_list_lines

PROJECT_KEY = b"a key for tests, never for data!"
STARTED_AT = 1_790_000_000_000_000  # 2026-09-21T14:13:20Z

_decode = msgspec.json.Decoder(AGENT_RECORDS).decode


class SettableClock:
    """A clock that stands still until it is told: microseconds since 1970 UTC."""

    def __init__(self, now: int = STARTED_AT) -> None:
        self.now = now

    def __call__(self) -> int:
        """Tell the time."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move the clock on."""
        self.now += round(seconds * 1_000_000)


def a_decision(**changes: Any) -> Decision:
    """Return a valid decision, changed where `changes` says so."""
    plain: dict[str, Any] = {
        "decision_id": "01990000-0000-7000-8000-000000000001",
        "occurred_at": STARTED_AT,
        "action": "database:query",
        "mode": "enforce",
        "effect": "allow",
        "verdict": "allow",
        "reason_code": "matched_rule",
        "agent_id": "support-bot",
        "tool": "database",
        "method": "query",
        "args": msgspec.Raw(b'{"table":"orders"}'),
        "policy_id": "starter",
        "rule_id": "starter#1",
        "evaluated_rules": 1,
    }
    return Decision(**(plain | changes))


class InMemoryGateway(httpx.BaseTransport):
    """A gateway as far as an agent can tell: it serves one project's bundle and keeps what is posted.

    `answers` are given before anything else, one per request: a status, or an exception to raise instead of an answer.
    """

    def __init__(
        self, *, policy: object = None, mode: Mode = "log-only", project_id: str = "default", bytes_max: int = 16 * 1024 * 1024
    ) -> None:
        self.project_id = project_id
        self.answers: deque[int | Exception] = deque()
        self.is_taking = True  # False: 503 to every delivery
        self.retry_after_s: int | None = None
        self.requests: list[str] = []
        self.closed: dict[str, int] = {}
        self.conflicts: list[tuple[str, int]] = []
        self._bytes_max = bytes_max
        self._lines: dict[str, dict[int, bytes]] = {}
        self._signing_key = Ed25519PrivateKey.generate()
        self._key_list = _only(self._signing_key)
        self._changed = threading.Condition()
        self._version = 0
        self._version_of_orders = 0
        self._mode: Mode = mode
        self._czpolicy: bytes | None = None
        self._orders: tuple[Order, ...] = ()
        self._session = Session(project_id=project_id)
        self._may_read_secrets = True
        if policy is not None:
            self.put_policy(policy, mode=mode)

    def put_policy(self, policy: object, *, mode: Mode = "log-only", **settings: Any) -> None:
        """Put another version of the policy in force; `settings` are fields of `Bundle`."""
        parsed = policies.parse(policy)  # type: ignore[arg-type]  # whatever `parse` takes
        plain: dict[str, Any] = {
            "project_id": self.project_id,
            "version": self._version + 1,
            "issued_at": STARTED_AT,
            "expires_at": None,
            "mode": mode,
            "on_stale": "keep",
            "on_unrecordable": "go_on",
            "policies": (msgspec.json.decode(policies.canonical(parsed)),),
            "policy_digest": policies.policy_digest([parsed]),
            "reads": (),
        }
        with self._changed:
            self._version += 1
            self._mode = mode
            self._czpolicy = sign(Bundle(**(plain | settings)), self._signing_key)
            self._changed.notify_all()

    def rotate_signing_key(self, *, endorsed: bool = True) -> None:
        """Sign by another key from the next policy on; one that nobody `endorsed` is that of a server whose key was lost, or a stranger."""
        old, self._signing_key = self._signing_key, Ed25519PrivateKey.generate()
        new = _only(self._signing_key)
        said = (endorse(self._signing_key.public_key().public_bytes_raw(), by=old),) if endorsed else ()
        self._key_list = KeyList({**new.keys, **self._key_list.keys}, (*self._key_list.endorsements, *said))

    def put_orders(self, *orders: Order) -> None:
        """Put these orders in force, and no others."""
        with self._changed:
            self._version_of_orders += 1
            self._orders = orders
            self._changed.notify_all()

    def put_session(self, *, secrets: Mapping[str, str] | None = None, tools: Sequence[Tool] = ()) -> None:
        """Let clients have these secrets and tools, and no others; with None for secrets their key may not read any."""
        self._may_read_secrets = secrets is not None
        self._session = Session(project_id=self.project_id, tools=tuple(tools), secrets=dict(secrets or {}))

    def lines(self, producer_id: str) -> dict[int, bytes]:
        """Return a producer's lines by their numbers."""
        with self._changed:
            return dict(self._lines.get(producer_id, {}))

    def producers(self) -> list[str]:
        """Return the producers that posted, in order of their first batch."""
        with self._changed:
            return list(self._lines)

    def records(self) -> list[Decision | Outcome | Loss]:
        """Return all records, producer by producer, in the order of their numbers."""
        return [_decode(line) for producer in self.producers() for _, line in sorted(self.lines(producer).items())]

    def decisions(self) -> list[Decision]:
        """Return all decisions."""
        return [record for record in self.records() if isinstance(record, Decision)]

    def outcomes(self) -> list[Outcome]:
        """Return all outcomes."""
        return [record for record in self.records() if isinstance(record, Outcome)]

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer as the gateway would."""
        body = request.read()
        with self._changed:
            self.requests.append(f"{request.method} {request.url.path}")
            if self.answers:
                answer = self.answers.popleft()
                if isinstance(answer, Exception):
                    raise answer
                if answer != 202:
                    return self._problem(answer)
            if request.url.path == "/v1/bundle":
                return self._bundle(request)
            if request.url.path == "/v1/session":
                return self._session_answer(is_asked=request.url.params.get("secrets") != "0")
            return self._take(request.headers, body) if self.is_taking else self._problem(503)

    def _bundle(self, request: httpx.Request) -> httpx.Response:
        if self._czpolicy is None:
            return self._problem(404, "The project has no policy. Apply one with `cz policy apply`.")
        known = request.headers.get("If-None-Match")
        wait_s = float(request.url.params.get("wait_s", "0"))
        self._changed.wait_for(lambda: known != self._etag, timeout=wait_s)
        answer = {
            "ETag": self._etag,
            "CZ-Mode": self._mode,
            "CZ-Signing-Key": ", ".join(key_list_lines(KeyList(self._key_list.keys))),
            "CZ-Signing-Key-Endorsements": ", ".join(key_list_lines(KeyList(endorsements=self._key_list.endorsements))),
            "CZ-Project-Key": base64.b64encode(PROJECT_KEY).decode(),
        }
        if self._orders:
            answer["CZ-Orders"] = orders_text(self._orders)
        if known == self._etag:
            return httpx.Response(304, headers=answer)
        return httpx.Response(200, headers=answer, content=self._czpolicy)

    def _session_answer(self, *, is_asked: bool) -> httpx.Response:
        given = "scope-missing" if not self._may_read_secrets else "given" if is_asked else "not-asked"
        session = self._session if given == "given" else structs.replace(self._session, secrets={})
        return httpx.Response(200, headers={"Cache-Control": "no-store", "CZ-Secrets": given}, content=msgspec.json.encode(session))

    @property
    def _etag(self) -> str:
        return f'"{self._version}.{self._version_of_orders}"'

    def _take(self, headers: Mapping[str, str], body: bytes) -> httpx.Response:
        plain = zstandard.ZstdDecompressor().decompressobj().decompress(body)
        if len(plain) > self._bytes_max:
            return self._problem(413)
        lines = plain.split(b"\n")[:-1]
        producer, first = headers["CZ-Producer"], int(headers["CZ-First-Seq"])
        self._keep(producer, first, lines)
        if headers.get("CZ-Closed") == "1":
            self.closed[producer] = int(headers["CZ-Total"])
        return httpx.Response(202, json={"accepted": len(lines), "rejected": [], "received_at": STARTED_AT})

    def _keep(self, producer: str, first: int, lines: Sequence[bytes]) -> None:
        kept = self._lines.setdefault(producer, {})
        for seq, line in enumerate(lines, start=first):
            if kept.setdefault(seq, line) != line:
                self.conflicts.append((producer, seq))

    def _problem(self, status: int, detail: str = "") -> httpx.Response:
        headers = {"Retry-After": str(self.retry_after_s)} if self.retry_after_s is not None else {}
        return httpx.Response(status, headers=headers, json={"title": f"a scripted {status}", "status": status, "detail": detail})


def _only(key: Ed25519PrivateKey) -> KeyList:
    public = key.public_key().public_bytes_raw()
    return KeyList({key_id(public): public})
