"""A fortnight of decisions as the cast's SDKs would have sent them, judged by the policy of the day."""

import math
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random

import msgspec

from controlzero import policy as policies
from controlzero.policy.effect import effect_of
from controlzero.policy.request import request_for_guard
from controlzero.records import ABSENT, Decision, Mode, Outcome, encode_record
from controlzero.version import __version__
from cz.demo.cast import CAST, Agent, Call, leak

DAY_US = 86_400_000_000
HOUR_US = 3_600_000_000
SESSION_CALLS = 9  # on average
LEAK_SHARE = 0.004  # of support-bot's calls
LATENCY_MS = {"llm": 900.0, "tool": 60.0, "data": 140.0, "trade": 35.0, "patient": 45.0, "notification": 80.0, "report": 400.0}


@dataclass(frozen=True, kw_only=True)
class Past:
    """What was in force while the history was made."""

    policy: policies.CompiledPolicy
    bundle_digest: str
    mode: Mode


@dataclass(frozen=True, kw_only=True)
class Shift:
    """One day's run of one agent: a producer of its own, its lines in order."""

    producer: str
    lines: list[bytes]


def shifts(*, until: int, days: int, seed: int, past: Past) -> Iterator[Shift]:
    """Yield every agent's shifts of the `days` before `until` (microseconds since 1970 UTC), oldest day first."""
    for day in range(days, 0, -1):
        for agent in CAST:
            random = Random(f"{seed}/{agent.name}/{day}")
            begin, end = until - day * DAY_US, until - (day - 1) * DAY_US
            producer = str(uuid.UUID(int=random.getrandbits(128), version=4))
            yield Shift(producer=producer, lines=list(_lines(agent, random, begin=begin, end=end, past=past)))


def _lines(agent: Agent, random: Random, *, begin: int, end: int, past: Past) -> Iterator[bytes]:
    session, left, user = "", 0, agent.users[0]
    at = begin
    while True:
        at += int(random.expovariate(_calls_per_hour(agent, at)) * HOUR_US)
        if at >= end:
            return
        if left <= 0:
            session, left, user = (
                f"s-{random.getrandbits(48):012x}",
                1 + int(random.expovariate(1 / SESSION_CALLS)),
                random.choice(agent.users),
            )
        left -= 1
        call = leak(random) if agent.name == "support-bot" and random.random() < LEAK_SHARE else agent.next_call(random)
        decision = _decide(agent, call, user=user, session=session, at=at, random=random, past=past)
        yield encode_record(decision)
        yield encode_record(_outcome(decision, random))


def _calls_per_hour(agent: Agent, at: int) -> float:
    """Busy by day, quiet at night and at weekends, a little busier every week."""
    hour, weekday = (at // HOUR_US) % 24, ((at // DAY_US) + 3) % 7  # 1970-01-01 was a Thursday
    by_day = 0.15 + 0.85 * max(0.0, math.sin(math.pi * (hour - 6) / 14)) if 6 <= hour < 20 else (0.3 if agent.works_at_night else 0.03)
    return agent.calls_per_hour * by_day * (0.45 if weekday >= 5 else 1.0)


def _decide(agent: Agent, call: Call, *, user: str, session: str, at: int, random: Random, past: Past) -> Decision:
    context = {"agent_id": agent.name, "user_id": user, "user_group": agent.user_group, "session_id": session}
    if call.resource:
        context["resource"] = call.resource
    request = request_for_guard(call.tool, method=call.method, args=call.args or {}, context=context)
    judged = past.policy.judge(request)
    verdict = judged.verdict if judged.verdict != "not_replayable" else None
    effect, _ = effect_of(verdict, past.mode)
    return Decision(
        decision_id=str(
            uuid.UUID(int=(at // 1000 << 80) | (0x7 << 76) | (random.getrandbits(12) << 64) | (0b10 << 62) | random.getrandbits(62))
        ),
        occurred_at=at,
        environment="production",
        action=request.actions[0],
        mode=past.mode,
        effect=effect,
        verdict=verdict,
        reason_code=judged.reason_code,
        agent_id=agent.name,
        user_id=user,
        user_group=agent.user_group,
        session_id=session,
        resource=judged.resource,
        resource_claimed=judged.resource_claimed,
        tool=call.tool,
        method=call.method,
        args=msgspec.Raw(msgspec.json.encode(call.args)) if call.args else ABSENT,
        policy_id=judged.policy_id,
        rule_id=judged.rule_id,
        reason=judged.reason,
        bundle_digest=past.bundle_digest,
        evaluated_rules=judged.evaluated_rules,
        evaluation_time_ns=int(random.gauss(2_400, 500)) if random.random() < 0.98 else int(random.expovariate(1 / 30_000)),
        sdk=f"controlzero-python/{__version__}",
    )


def _outcome(decision: Decision, random: Random) -> Outcome:
    carried_out = decision.effect != "deny"
    failed = carried_out and random.random() < 0.012
    is_model = decision.tool == "llm"
    tokens_in, tokens_out = (random.randrange(120, 2_400), random.randrange(40, 700)) if carried_out and is_model else (None, None)
    latency_ms = round(random.lognormvariate(math.log(LATENCY_MS.get(decision.tool or "", 60.0)), 0.45), 2)
    return Outcome(
        decision_id=decision.decision_id,
        occurred_at=decision.occurred_at + int(latency_ms * 1000),
        carried_out=carried_out,
        status="error" if failed else "ok" if carried_out else "denied",
        error_class="TimeoutError" if failed else None,
        latency_ms=latency_ms if carried_out else None,
        input_tokens=tokens_in,
        output_tokens=tokens_out,
        cost_usd=round(tokens_in * 2.5e-6 + tokens_out * 1e-5, 6) if tokens_in is not None and tokens_out is not None else None,
    )
