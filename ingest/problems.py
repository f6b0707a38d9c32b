"""Every way the gateway says no: its status, what happened and what to do next (RFC 9457, application/problem+json)."""

from typing import Literal

from ingest import limits
from topics.problems import DOCS_PATH, Kind, Problem

Slug = Literal[
    "no-key",
    "unknown-key",
    "revoked-key",
    "expired-key",
    "scope-missing",
    "project-not-granted",
    "project-archived",
    "not-found",
    "no-policy-yet",
    "method-not-allowed",
    "schema-newer",
    "body-too-slow",
    "body-too-large",
    "expanded-too-large",
    "too-many-lines",
    "content-type",
    "content-encoding",
    "undecodable-body",
    "empty-body",
    "bad-header",
    "bad-parameter",
    "project-required",
    "rate-limited",
    "too-much-in-flight",
    "internal",
    "starting",
    "too-many-requests-at-once",
    "log-unavailable",
    "log-damaged",
    "disk-nearly-full",
]


MIB = 2**20
KINDS: dict[Slug, Kind] = {
    "no-key": Kind(
        status=401,
        title="No API key",
        next_step="Send `Authorization: Bearer cz_live_…`; `cz keys create --project NAME` makes a key.",
    ),
    "unknown-key": Kind(
        status=401,
        title="Unknown API key",
        next_step="Check the key for a missing end; `cz keys list` shows the prefixes of those there are.",
    ),
    "revoked-key": Kind(
        status=401,
        title="Revoked API key",
        next_step="Make a new one with `cz keys create --project NAME`; what the agent recorded waits in its spool.",
    ),
    "expired-key": Kind(
        status=401,
        title="Expired API key",
        next_step="Use the key that was made in its place; what the agent recorded waits in its spool.",
    ),
    "scope-missing": Kind(
        status=403,
        title="The key has not the scope",
        next_step="Use a key with that scope; `cz keys create --scope` makes one, `cz keys list` shows what keys have.",
    ),
    "project-not-granted": Kind(
        status=403,
        title="The key does not grant this project",
        next_step="Make a key of that project (`cz keys create --project ID`), or name none (CONTROLZERO_PROJECT_ID, the header `CZ-Project`) to deliver to the key's own.",
    ),
    "project-archived": Kind(
        status=403,
        title="The project is archived",
        next_step="Deliver to another project, or take this one out of the archive with `cz project restore NAME`.",
    ),
    "not-found": Kind(status=404, title="No such page", next_step=f"The routes are listed at {DOCS_PATH}."),
    "no-policy-yet": Kind(
        status=404,
        title="The project has no policy yet",
        next_step="Apply one with `cz policy apply --project NAME FILE`, then ask again.",
    ),
    "method-not-allowed": Kind(status=405, title="The route does not take this method", next_step="Use the method named in `Allow`."),
    "schema-newer": Kind(
        status=409,
        title="The records are of a newer version",
        next_step="Upgrade the gateways, then the agents. An SDK keeps its records in its spool and sends them again.",
    ),
    "body-too-slow": Kind(
        status=408,
        title="The body did not arrive in time",
        next_step=f"Send it within {limits.BODY_READ_S_MAX:g} s: in smaller batches or compressed.",
    ),
    "body-too-large": Kind(
        status=413,
        title="The body is too large",
        next_step=f"Send at most {limits.BODY_BYTES_MAX // MIB} MiB a request: split the batch, or compress it with zstd.",
    ),
    "expanded-too-large": Kind(
        status=413,
        title="The body is too large once decompressed",
        next_step=f"Send at most {limits.EXPANDED_BYTES_MAX // MIB} MiB of lines a request: split the batch.",
    ),
    "too-many-lines": Kind(
        status=413,
        title="The batch has too many lines",
        next_step=f"Send at most {limits.LINES_MAX:,} lines a request: split the batch.",
    ),
    "content-type": Kind(
        status=415,
        title="The content type is not taken",
        next_step="Send newline-delimited JSON in UTF-8 as `Content-Type: application/x-ndjson`.",
    ),
    "content-encoding": Kind(
        status=415,
        title="The content encoding is not taken",
        next_step="Send it plain, or with `Content-Encoding: zstd` or `gzip`, one of them once.",
    ),
    "undecodable-body": Kind(
        status=422,
        title="The body could not be decompressed",
        next_step="Compress it again and send it whole; `Content-Encoding` must name how it was compressed.",
    ),
    "empty-body": Kind(
        status=422,
        title="The body holds no line",
        next_step="Send at least one record, or `CZ-Producer` with `CZ-Closed: 1` to end a producer in order.",
    ),
    "bad-header": Kind(status=422, title="A header has a wrong value", next_step="Correct the header that the detail names."),
    "bad-parameter": Kind(status=422, title="A parameter has a wrong value", next_step="Correct the parameter that the detail names."),
    "project-required": Kind(
        status=422,
        title="The key grants several projects",
        next_step="Name the one that is meant: CONTROLZERO_PROJECT_ID of an agent, `CZ-Project` (or `?project_id=`) of a request.",
    ),
    "rate-limited": Kind(
        status=429,
        title="The key delivers too fast",
        next_step="Wait as long as `Retry-After` says; nothing of this request was taken.",
    ),
    "too-much-in-flight": Kind(
        status=429,
        title="Too many bytes are arriving at once",
        next_step="Send the batch again after `Retry-After`; nothing of it was taken.",
    ),
    "internal": Kind(
        status=500,
        title="The gateway failed",
        next_step="Send the batch again: a repeated batch is counted once. The gateway's log names the error.",
    ),
    "starting": Kind(status=503, title="The gateway is starting", next_step="Send it again after `Retry-After`."),
    "too-many-requests-at-once": Kind(
        status=503,
        title="Too many requests at once",
        next_step="Send it again after `Retry-After`, over fewer connections.",
    ),
    "log-unavailable": Kind(
        status=503,
        title="The log does not take records now",
        next_step="Send the batch again after `Retry-After`; nothing of it was taken, or a repeat is counted once.",
    ),
    "log-damaged": Kind(
        status=503,
        title="The log is damaged",
        next_step="An operator must look: `cz doctor` says what is wrong. Agents keep their records in their spool.",
    ),
    "disk-nearly-full": Kind(
        status=503,
        title="The disk is nearly full",
        next_step="Free space on the data folder's filesystem; delivery goes on by itself. Agents keep their records in their spool.",
    ),
}


class Refusal(Problem[Slug]):
    """A request answered with a problem. `detail` is this occurrence's sentence; it never holds a record's content."""

    kinds = KINDS
