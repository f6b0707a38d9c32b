"""`process_pii`: what personal data and secrets a text holds, and the text without them."""

import sys
from typing import Any

from controlzero import pii
from controlzero.masking import Masking

ACTIONS = ("detect", "redact")


def processed(text: str, action: str, masking: Masking) -> dict[str, Any]:
    """Return what was found in a text, and for `redact` the text with masks in its place. Raises ValueError for another action.

    Entities have `type`, `family` (`pii` or `secret`), `start` and `end` (characters, end excluded), never the value.
    """
    if action not in ACTIONS:
        raise ValueError(f"action `{action}`: expected one of {', '.join(ACTIONS)}")
    spans = pii.find(text)
    return {
        "action": action,
        "has_pii": any(span.family == "pii" for span in spans),
        "has_secret": any(span.family == "secret" for span in spans),
        "entities": [{"type": span.type, "family": span.family, "start": span.start, "end": span.end} for span in spans],
        "text": text if action == "detect" else masking.text(text, "text", sys.maxsize, []),
    }
