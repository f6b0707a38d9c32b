"""Find and mask personal data and secrets in texts and JSON, in linear time, before anything is written."""

from controlzero.pii.digests import args_digest, fingerprint, mac
from controlzero.pii.find import Span, find, find_many, might_hold
from controlzero.pii.redact import redact_json, redact_text

__all__ = ["Span", "args_digest", "find", "find_many", "fingerprint", "mac", "might_hold", "redact_json", "redact_text"]
