"""Every way the control plane says no over HTTP: its status, what happened and what to do next (RFC 9457)."""

from typing import Literal

from topics.problems import DOCS_PATH, Kind, Problem

Slug = Literal[
    "no-key",
    "unknown-key",
    "revoked-key",
    "expired-key",
    "scope-missing",
    "project-not-granted",
    "project-archived",
    "project-required",
    "not-found",
    "method-not-allowed",
    "bad-parameter",
    "body-too-large",
    "body-too-slow",
    "too-many-requests-at-once",
    "too-many-failed-keys",
    "idempotency-key-reused",
    "policy-refused",
    "control-unavailable",
    "control-damaged",
    "refused",
    "internal",
]


KINDS: dict[Slug, Kind] = {
    "no-key": Kind(
        status=401, title="No API key", next_step="Send `Authorization: Bearer cz_live_…`; `cz keys create --project NAME` makes a key."
    ),
    "unknown-key": Kind(
        status=401,
        title="Unknown API key",
        next_step="Check the key for a missing end; `cz keys list` shows the prefixes of those there are.",
    ),
    "revoked-key": Kind(status=401, title="Revoked API key", next_step="Make a new one with `cz keys create --project NAME`."),
    "expired-key": Kind(status=401, title="Expired API key", next_step="Use the key that was made in its place."),
    "scope-missing": Kind(
        status=403,
        title="The key has not the scope",
        next_step="Use a key with that scope; `cz keys create --scope` makes one, `cz keys list` shows what keys have.",
    ),
    "project-not-granted": Kind(
        status=403,
        title="The key does not grant this project",
        next_step="Use a key of that project; `cz keys list` shows what keys grant.",
    ),
    "project-archived": Kind(
        status=403, title="The project is archived", next_step="Take it out of the archive with `cz project restore NAME`."
    ),
    "project-required": Kind(
        status=422, title="The key grants several projects", next_step="Name the one that is meant in `?project_id=`."
    ),
    "not-found": Kind(status=404, title="There is no such thing", next_step=f"The routes are listed at {DOCS_PATH}."),
    "method-not-allowed": Kind(status=405, title="The route does not take this method", next_step="Use the method named in `Allow`."),
    "bad-parameter": Kind(status=422, title="A parameter has a wrong value", next_step="Correct what the detail names."),
    "body-too-slow": Kind(status=408, title="The body did not arrive in time", next_step="Send it again, over a faster connection."),
    "body-too-large": Kind(
        status=413, title="The body is too large", next_step="Send less at once; a larger policy is applied with `cz policy apply`."
    ),
    "idempotency-key-reused": Kind(
        status=422, title="The `Idempotency-Key` names another request", next_step="Take a new one for each change."
    ),
    "policy-refused": Kind(
        status=422, title="The policy cannot be taken", next_step="Nothing was changed; correct what `problems` names, each with its path."
    ),
    "too-many-failed-keys": Kind(
        status=429, title="Too many requests with a wrong key", next_step="Wait as long as `Retry-After` says, and check the key."
    ),
    "too-many-requests-at-once": Kind(status=503, title="Too many requests at once", next_step="Send it again after `Retry-After`."),
    "refused": Kind(status=422, title="The change is refused", next_step="Nothing was changed; correct what the detail names."),
    "control-unavailable": Kind(
        status=503,
        title="The control plane does not answer now",
        next_step="Send it again after `Retry-After`; decisions are taken and bundles handed out meanwhile.",
    ),
    "internal": Kind(status=500, title="The control plane failed", next_step="Send it again; the gateway's log names the error."),
    "control-damaged": Kind(
        status=500, title="The control plane's data is damaged", next_step="An operator must look: the gateway's log says what is wrong."
    ),
}


class Refusal(Problem[Slug]):
    """A request answered with a problem. `detail` is this occurrence's sentence; it never holds a value that was sent."""

    kinds = KINDS
