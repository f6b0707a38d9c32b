"""What the Node SDK takes from here as it is: the table of detectors, and the shared cases of policies."""

import json
import re
from pathlib import Path

from controlzero.pii import internet, numbers
from controlzero.pii.patterns import DETECTORS
from controlzero.policy.decode import decode

CASES = Path(__file__).parents[2] / "tests" / "golden" / "policy"
_CODE_POINT = re.compile(r"\\x\{([0-9A-Fa-f]+)\}")


def files() -> dict[str, str]:
    """Return the files that are generated, by their path under sdk-node."""
    return {"src/pii/table.ts": detector_table(), "test/policy-cases.json": policy_cases()}


def detector_table() -> str:
    """Return the table of detectors as a TypeScript module: the patterns in JavaScript's notation, the checks by name."""
    rows = "".join(
        f"  {{ type: {_text(each.type)}, check: {_text(_camel(each.check.__name__))}, pattern: {_text(_javascript(each.pattern))} }},\n"
        for each in DETECTORS
    )
    lengths = "".join(f"  [{_text(country)}, {length}],\n" for country, length in sorted(numbers.IBAN_LENGTHS.items()))
    return (
        "/** What personal data and secrets look like. Generated from `controlzero/pii` by `make golden`: change it there. */\n\n"
        f"export const DETECTORS = [\n{rows}] as const;\n\n"
        f"export const IBAN_LENGTHS: ReadonlyMap<string, number> = new Map([\n{lengths}]);\n\n"
        f'export const COUNTRIES: ReadonlySet<string> = new Set({_text(" ".join(sorted(internet.COUNTRIES)))}.split(" "));\n'
        f'export const FILE_ENDINGS: ReadonlySet<string> = new Set({_text(" ".join(sorted(internet.FILE_ENDINGS)))}.split(" "));\n'
    )


def policy_cases() -> str:
    """Return the shared cases as JSON, which Node reads without a dependency: a list of groups, each with its file."""
    groups = [{"file": path.name, **group} for path in sorted(CASES.glob("*.yaml")) for group in decode(path.read_bytes())]  # type: ignore[attr-defined]  # lists
    return json.dumps(groups, ensure_ascii=True, indent=1) + "\n"


def _javascript(pattern: str) -> str:
    return _CODE_POINT.sub(lambda match: f"\\u{int(match[1], 16):04x}", pattern)


def _camel(name: str) -> str:
    first, *others = name.split("_")
    return first + "".join(each.capitalize() for each in others)


def _text(text: str) -> str:
    return json.dumps(text)
