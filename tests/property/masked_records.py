"""Decisions as an SDK records them, with texts masked at random: more, and more oddly, than any detector would."""

import json
import random

import msgspec

from controlzero.policy import request_for_enforce
from controlzero.policy.facts import record_facts
from controlzero.records import Decision, Redaction
from tests.property import naive_policy as naive

LETTERS = "abcdefghijklmnop"


class Masker:
    """Masks texts at random: all of one, its first or its last character, a number, a key. The same value is masked the same."""

    def __init__(self, rng: random.Random) -> None:
        self.rng, self.masks, self.share = rng, {}, rng.choice((0.1, 0.4, 0.9))

    def text(self, value: str) -> str:
        if value not in self.masks:
            mask = f"[email:{''.join(self.rng.choice(LETTERS) for _ in range(10))}]"
            forms = (mask, value[:1] + mask, mask + value[-1:], value[:1] + mask + value[-1:]) if len(value) > 2 else (mask,)
            self.masks[value] = self.rng.choice(forms) if self.rng.random() < self.share else value
        return self.masks[value]

    def walk(self, value, path, paths):
        if isinstance(value, dict):
            return {self.key(key, path, paths): self.walk(member, self.below(path, key), paths) for key, member in value.items()}
        if isinstance(value, list):
            return [self.walk(element, f"{path}[{place}]", paths) for place, element in enumerate(value)]
        if isinstance(value, bool) or value is None or isinstance(value, float):
            return value
        masked = self.text(str(value))
        if masked == str(value):
            return value
        paths.append(path)
        return masked

    @staticmethod
    def below(path, key):
        return f"{path}.{key}" if key.isalnum() else f"{path}[{json.dumps(key)}]"

    def key(self, key, path, paths):
        if self.rng.random() > 0.1 or key in naive.KEYS:
            return key
        paths.append(f'{path}["[email:')
        return f"[email:{''.join(self.rng.choice(LETTERS) for _ in range(10))}]"

    def facts(self, encoded: bytes) -> bytes:
        return json.dumps(
            {key: self.walk(value, "facts", []) for key, value in json.loads(encoded).items()}, separators=(",", ":")
        ).encode()


def recorded(compiled, call, masker):
    """A decision as an SDK records it: all texts masked but the action, the facts noted before."""
    request = request_for_enforce(**call)
    paths: list[str] = []
    fields = {name: masker.walk(getattr(request, name), name, paths) for name in ("agent_id", "user_id", "user_group", "resource")}
    args, tags = (masker.walk(dict(value), name, paths) for name, value in (("args", request.args), ("tags", request.tags)))
    receipts = tuple(Redaction(path=path, type="email") for path in paths)
    judgement = compiled.judge(request)
    return Decision(
        decision_id="0" * 36,
        occurred_at=0,
        mode="enforce",
        effect="allow",
        action=request.actions[0],
        action_raw=request.action_raw,
        args=msgspec.Raw(json.dumps(args).encode()),
        tags=msgspec.Raw(json.dumps(tags).encode()),
        facts=msgspec.Raw(record_facts(compiled, request, receipts, masker.facts)),
        reason_code=judgement.reason_code,
        bundle_digest="b",
        redactions=receipts,
        **fields,
    )
