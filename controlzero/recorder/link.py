"""The way of records: what is asked of any, what a reply asks for, and the way to the gateway over HTTP."""

import logging
import random
import threading
from typing import TYPE_CHECKING, Literal, Protocol
from urllib.parse import urlsplit

import msgspec
from msgspec import Struct

from controlzero.errors import Unavailable
from controlzero.recorder.backlog import Batch
from controlzero.records import SCHEMA_VERSION
from controlzero.session import Session
from controlzero.version import __version__

if TYPE_CHECKING:
    import httpx

TIMEOUT_S = 10.0  # a gateway answers in milliseconds; a proxy in between may hold a connection open
BACKOFF_S_FIRST = 0.25
BACKOFF_S_MAX = 30.0
RETRY_AFTER_S_MAX = 300.0  # a gateway may ask for more patience, within reason
IS_IT_UP = "is it up (`cz up`), and is this its address (CONTROLZERO_BASE_URL)?"
SDK = f"controlzero-python/{__version__}"

TELLING = (
    "httpx",
    "httpcore.connection",
    "httpcore.http11",
    "httpcore.http2",
    "httpcore.proxy",
    "httpcore.socks",
)  # a filter holds for its logger alone
THREAD_PREFIX = "controlzero-"  # of the names of our threads

jitter = random.SystemRandom().random  # from the kernel, so that forked children do not sleep in step

Step = Literal["go_on", "split", "again", "hold"]


class RejectedLine(Struct, frozen=True):
    """A line of a batch that the gateway put into quarantine."""

    line: int = 0
    code: str = ""
    path: str = ""
    reason: str = ""


class Receipt(Struct, frozen=True):
    """What a 202 says."""

    accepted: int = 0
    rejected: tuple[RejectedLine, ...] = ()


class Reply(Struct, frozen=True):
    """The answer to a batch, as far as the sender acts on it; `status` as HTTP has it."""

    status: int
    detail: str = ""
    retry_after_s: float | None = None
    rejected: tuple[RejectedLine, ...] = ()


class BundleReply(Struct, frozen=True):
    """The gateway's answer to a question for the bundle."""

    status: int
    detail: str = ""
    retry_after_s: float | None = None
    czpolicy: bytes = b""
    etag: str | None = None
    signing_key: str | None = None
    endorsements: str | None = None
    project_key: str | None = None
    orders: str | None = None


class SessionReply(Struct, frozen=True):
    """The gateway's answer to a question for the session; None where it is none."""

    status: int
    detail: str = ""
    retry_after_s: float | None = None
    session: Session | None = None
    may_read_secrets: bool = True


def step_after(status: int) -> Step:
    """Say what a reply asks for.

    `hold` keeps the batch and tries again slowly: the key was refused or this gateway does not understand
    us. A person can cure both, and dropping the batch would be a silent loss.
    """
    if status == 202:
        return "go_on"
    if status == 413:
        return "split"
    if status in (408, 425, 429) or status >= 500:
        return "again"
    return "hold"


def backoff_s(failures: int, *, retry_after_s: float | None, jitter: float) -> float:
    """Return how long to wait after the `failures`-th failure in a row: exponential with full jitter (AWS, 2015).

    `jitter` is in [0, 1). Half of the delay is kept, so that a fleet neither hammers nor sleeps in step.
    """
    delay_s = min(BACKOFF_S_MAX, BACKOFF_S_FIRST * 2.0 ** min(failures - 1, 16))
    delay_s *= 0.5 + jitter / 2
    return max(delay_s, min(retry_after_s or 0.0, RETRY_AFTER_S_MAX))


class Link(Protocol):
    """A way to where batches are kept: the gateway, or Kafka itself."""

    def deliver(self, project_id: str, batch: Batch) -> Reply:
        """Deliver one batch: 202 once it is durable. Raises `Unavailable` where no answer comes."""
        ...

    def forget(self) -> None:
        """Leave the connection to the parent: called in a forked child."""
        ...

    def close(self) -> None:
        """Close the connection; the next delivery opens another."""
        ...


class HttpLink:
    """A connection to one gateway with one API key; safe for several threads, and anew in a forked child."""

    def __init__(self, base_url: str, api_key: str, *, transport: "httpx.BaseTransport | None" = None) -> None:
        self.base_url = base_url
        self._api_key = api_key
        self._transport = transport
        self._client: httpx.Client | None = None

    def deliver(self, project_id: str, batch: Batch) -> Reply:
        """Post one batch. Raises `Unavailable` where no answer comes."""
        from controlzero.batch import compress_lines, ndjson  # with zstandard: only a process that delivers pays for it

        headers = {
            "Content-Type": "application/x-ndjson",
            "Content-Encoding": "zstd",
            "CZ-Project": project_id,
            "CZ-Producer": batch.producer_id,
            "CZ-First-Seq": str(batch.first_seq),
            "CZ-Total": str(batch.first_seq + len(batch.lines)),
            "CZ-Schema-Version": str(SCHEMA_VERSION),
        }
        if batch.closes:
            headers["CZ-Closed"] = "1"
        response = self._request("POST", "/v1/decisions", headers=headers, content=compress_lines(ndjson(batch.lines)))
        return Reply(
            status=response.status_code,
            detail=_detail(response),
            retry_after_s=_retry_after_s(response),
            rejected=_rejected(response.content) if response.status_code == 202 else (),
        )

    def bundle(self, project_id: str | None, *, etag: str | None, wait_s: float = 0.0) -> BundleReply:
        """Ask for the bundle, unless it is still the one of `etag`; let the gateway wait `wait_s` for another.

        Raises `Unavailable` where no answer comes.
        """
        headers = {"If-None-Match": etag} if etag else {}
        params = {"project_id": project_id} if project_id else {}
        if wait_s:
            params["wait_s"] = f"{wait_s:g}"
        response = self._request("GET", "/v1/bundle", headers=headers, params=params, timeout=TIMEOUT_S + wait_s)
        return BundleReply(
            status=response.status_code,
            detail=_detail(response),
            czpolicy=response.content if response.status_code == 200 else b"",
            retry_after_s=_retry_after_s(response),
            etag=response.headers.get("ETag"),
            signing_key=response.headers.get("CZ-Signing-Key"),
            endorsements=response.headers.get("CZ-Signing-Key-Endorsements"),
            project_key=response.headers.get("CZ-Project-Key"),
            orders=response.headers.get("CZ-Orders"),
        )

    def session(self, project_id: str | None, *, with_secrets: bool, timeout_s: float = TIMEOUT_S) -> SessionReply:
        """Ask for the project's tools, and for the secrets the key may read. Raises `Unavailable` where no answer comes."""
        params = {"secrets": "1" if with_secrets else "0"} | ({"project_id": project_id} if project_id else {})
        response = self._request("GET", "/v1/session", params=params, timeout=timeout_s)
        return SessionReply(
            status=response.status_code,
            detail=_detail(response),
            retry_after_s=_retry_after_s(response),
            session=_session(response.content) if response.status_code == 200 else None,
            may_read_secrets=response.headers.get("CZ-Secrets") != "scope-missing",
        )

    def forget(self) -> None:
        """Drop the connection: a forked child must not speak on its parent's."""
        self._client = None

    def close(self) -> None:
        """Close the connection; the next request opens another."""
        client, self._client = self._client, None
        if client is not None:
            client.close()

    def _request(self, method: str, path: str, **request: object) -> "httpx.Response":
        import httpx  # 60 ms of import that an agent's start does not wait for

        if self._client is None:
            for name in TELLING:
                logging.getLogger(name).addFilter(_is_the_hosts)
            is_here = is_loopback(self.base_url)
            self._client = httpx.Client(
                base_url=self.base_url,
                headers={"Authorization": f"Bearer {self._api_key}", "User-Agent": SDK},
                timeout=TIMEOUT_S,
                transport=self._transport,
                trust_env=not is_here,
                verify=not (is_here and self.base_url.startswith("http:")),  # to load certificates takes 35 ms; here none is shown
            )
        _ASKING.is_ours = True
        try:
            return self._client.request(method, path, **request)  # type: ignore[arg-type]
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise Unavailable(
                f"gateway {self.base_url}: no answer to {method} {path}: {type(error).__name__}: {error}; {IS_IT_UP}"
            ) from error
        finally:
            _ASKING.is_ours = False


class _Asking(threading.local):
    """Whether this thread is in a request of ours."""

    is_ours = False


_ASKING = _Asking()


def _is_the_hosts(_: logging.LogRecord) -> bool:
    """Keep our requests out of the host's log: httpx tells of each at INFO, httpcore of every header at DEBUG, and one holds a key."""
    return not _ASKING.is_ours


def is_loopback(url: str) -> bool:
    """Say whether a URL is this machine's: no proxy for the outside world serves it."""
    host = urlsplit(url).hostname or ""
    return host in ("localhost", "::1") or host.startswith("127.")


def _retry_after_s(response: "httpx.Response") -> float | None:
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isdecimal() else None


def _detail(response: "httpx.Response") -> str:
    """Return what a problem+json answer says, else the start of the text; it goes into a log line."""
    if response.status_code < 400:
        return ""
    try:
        problem = msgspec.json.decode(response.content, type=dict[str, object])
        return str(problem.get("detail") or problem.get("title") or "")[:500]
    except (msgspec.DecodeError, msgspec.ValidationError):
        return response.text[:200]


def _session(body: bytes) -> Session | None:
    """Decode a session; what cannot be read is not raised with: an error's frames would show the secrets."""
    try:
        return msgspec.json.decode(body, type=Session)
    except (msgspec.DecodeError, msgspec.ValidationError):
        return None


def _rejected(body: bytes) -> tuple[RejectedLine, ...]:
    try:
        return msgspec.json.decode(body, type=Receipt).rejected
    except (msgspec.DecodeError, msgspec.ValidationError):
        return ()
