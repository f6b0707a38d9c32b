"""Data folders for tests of the pages: a believable fortnight landed through the real lander, or nothing at all."""

import hashlib
import json
import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import pyarrow as pa
from msgspec import Raw

from controlplane.model import ProjectSettings
from controlplane.service import ControlPlane
from controlzero.pii import redact_text
from controlzero.records import Decision, Outcome, Redaction
from controlzero.secrets_on_disk import master_key, project_key
from topics.sqlite import SqliteLog
from warehouse.columns import columns_of, decisions_table, rows_table, table_of
from warehouse.kinds import Finding, Quarantined, Tally
from warehouse.lander import Lander, Landing

DAY_US = 86_400_000_000
MINUTE_US = 60_000_000
MISSING = 22  # records of one producer that never arrived
APP_ID = "cz/testlog/testtopic/0"
OTHER_APP_ID = "cz/testlog/testtopic/1"
# Names an agent might choose for itself: markup, an image far away, a formula, a text turned around, a paragraph.
HOSTILE_ACTION = 'shell:<img src="http://198.51.100.7/a.png" onerror="alert(1)">![x](http://198.51.100.7/b.png)'
PERSON = "zoe@example.com"  # one of the users: nothing holds this but the mask it is kept as
HOSTILE_AGENT = '=HYPERLINK("http://198.51.100.7")\u202egnp.exe **bold** [link](http://198.51.100.7/c)'
POLICY = {
    "name": "production-agents",
    "description": "What the support, trading and healthcare agents may do.",
    "rules": [
        {"effect": "allow", "action": "llm:generate", "resource": "model/gpt-5.4", "conditions": {"agent_id": "premium-*"}},
        {"effect": "allow", "action": "llm:generate", "resource": "model/gpt-5.4", "conditions": {"agent_id": "admin-*"}},
        {"effect": "allow", "action": "llm:generate", "resource": "model/gpt-3.5-turbo"},
        {
            "id": "basic-no-gpt5",
            "effect": "deny",
            "action": "llm:generate",
            "resource": "model/gpt-5.4",
            "conditions": {"agent_id": "basic-*"},
            "reason": "Basic agents answer with gpt-3.5-turbo.",
        },
        {"effect": "deny", "action": "llm:generate", "resource": "model/*"},
        {"effect": "allow", "action": "trade:execute", "resource": ["asset/AAPL", "asset/MSFT"]},
        {
            "id": "no-crypto",
            "effect": "deny",
            "action": "trade:execute",
            "resource": "asset/BTC",
            "reason": "Crypto is outside the mandate.",
        },
        {"effect": "allow", "action": "report:generate", "resource": "report/*"},
        {"effect": "allow", "action": "notification:send", "resource": "channel/slack-*"},
        {
            "id": "no-mail",
            "effect": "deny",
            "action": "notification:send",
            "resource": "channel/email-*",
            "reason": "Mail to customers needs a person.",
        },
        {"effect": "allow", "action": "patient:read", "resource": ["record/demographics", "record/lab-results"]},
        {
            "id": "no-billing",
            "effect": "deny",
            "action": "patient:read",
            "resource": "record/billing",
            "reason": "Billing records are not for the care agent.",
        },
        {"effect": "allow", "action": "patient:write", "resource": "record/notes"},
        {
            "id": "large-refund",
            "effect": "warn",
            "action": "ticket:refund",
            "conditions": {"args.amount": {"gt": 500}},
            "reason": "A large refund.",
        },
        {"effect": "audit", "action": "ticket:*"},
        {"id": "no-shell", "effect": "deny", "action": "shell:*", "reason": "No agent has a shell."},
    ],
}
FIRST_POLICY = {"name": "production-agents", "rules": [*POLICY["rules"][:5], {"effect": "allow", "action": "*", "resource": "*"}]}
CANDIDATE = {
    "name": "stricter-agents",
    "description": "Reports and large refunds need a person; mail to partners is fine.",
    "rules": [
        {"id": "no-reports", "effect": "deny", "action": "report:generate", "resource": "report/*", "reason": "Reports need a person."},
        {"id": "partner-mail", "effect": "allow", "action": "notification:send", "resource": "channel/email-partners"},
        *POLICY["rules"],
    ],
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What an agent does, how often, and what the policy and its candidate say of it (rule places from 1)."""

    agent: str
    action: str
    resource: str | None
    weight: float
    verdict: str
    rule: int | None
    candidate_verdict: str = ""
    candidate_rule: int | None = None
    args: dict = field(default_factory=dict)
    finding: tuple[str, ...] = ()  # types found, at args.message


SCENES = (
    Scene(agent="premium-support", action="llm:generate", resource="model/gpt-5.4", weight=30, verdict="allow", rule=1, args={"model": "gpt-5.4", "message": "Where is my parcel?"}),
    Scene(agent="premium-support", action="ticket:reply", resource="ticket/open", weight=12, verdict="audit", rule=15, args={"ticket": "T-2291", "message": "Your parcel left the depot."}),
    Scene(agent="basic-support", action="llm:generate", resource="model/gpt-3.5-turbo", weight=22, verdict="allow", rule=3, args={"model": "gpt-3.5-turbo", "message": "Reset my password"}),
    Scene(agent="basic-support", action="llm:generate", resource="model/gpt-5.4", weight=4, verdict="deny", rule=4, args={"model": "gpt-5.4", "message": "Write this nicely"}),
    Scene(agent="admin-internal", action="llm:generate", resource="model/gpt-5.4", weight=6, verdict="allow", rule=2, args={"model": "gpt-5.4"}),
    Scene(agent="admin-internal", action="vectorstore:read", resource="vectorstore/handbook", weight=2, verdict="deny", rule=None, args={"query": "leave policy"}),
    Scene(agent="support-bot", action="ticket:refund", resource="ticket/closed", weight=3, verdict="warn", rule=14, args={"ticket": "T-1007", "amount": 742.5}),
    Scene(agent="support-bot", action="notification:send", resource="channel/slack-support", weight=9, verdict="allow", rule=9, args={"channel": "slack-support"}),
    Scene(agent="support-bot", action="notification:send", resource="channel/email-customers", weight=2, verdict="deny", rule=10, args={"channel": "email-customers", "message": "Dear [email:kdfbcaemph], card [payment_card:ppbnkalmce]"}, finding=("email", "payment_card")),
    Scene(agent="support-bot", action="notification:send", resource="channel/email-partners", weight=1, verdict="deny", rule=10, candidate_verdict="allow", candidate_rule=2, args={"channel": "email-partners"}),
    Scene(agent="trading-agent", action="trade:execute", resource="asset/AAPL", weight=11, verdict="allow", rule=6, args={"asset": "AAPL", "quantity": 40}),
    Scene(agent="trading-agent", action="trade:execute", resource="asset/BTC", weight=1.2, verdict="deny", rule=7, args={"asset": "BTC", "quantity": 2}),
    Scene(agent="trading-agent", action="report:generate", resource="report/portfolio-summary", weight=3, verdict="allow", rule=8, candidate_verdict="deny", candidate_rule=1, args={"report": "portfolio-summary"}),
    Scene(agent="healthcare-agent", action="patient:read", resource="record/lab-results", weight=10, verdict="allow", rule=11, args={"record": "lab-results", "patient": {"name": "[phone:acbdkkmnop]", "ward": 3}}, finding=("phone",)),
    Scene(agent="healthcare-agent", action="patient:write", resource="record/notes", weight=6, verdict="allow", rule=13, args={"record": "notes"}),
    Scene(agent="healthcare-agent", action="patient:read", resource="record/billing", weight=0.8, verdict="deny", rule=12, args={"record": "billing"}),
    Scene(agent=HOSTILE_AGENT, action=HOSTILE_ACTION, resource="**x**](http://198.51.100.7/d)", weight=0.4, verdict="deny", rule=16, args={"<b>cmd</b>": '<script>alert("x")</script>', "=1+1": "=cmd|' /C calc'!A0"}),
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Grown:
    """What was landed: where, and the ids a test may want to open."""

    home: Path
    project: str
    now_us: int
    denied_logged: str
    denied: str
    other_projects: str
    decisions: int


def empty_home(home: Path, *, now_us: int) -> Path:
    """Make a data folder as `cz up` leaves it at first: the default project, no decision, no ledger."""
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log, clock=lambda: now_us) as plane:
        plane.ensure_default_project(actor="cz up")
    return home


def grown_home(home: Path, *, now_us: int, per_day: int = 400, days: int = 14, seed: int = 7) -> Grown:
    """Fill a data folder: `default` was log-only until two days ago and enforces since; `payments` is another tenant."""
    random = Random(seed)
    clock = _Clock(now_us - days * DAY_US)
    with closing(SqliteLog(home / "log.db")) as log, ControlPlane(home, log, clock=clock) as plane:
        plane.ensure_default_project(actor="cz up")
        plane.apply_policy("default", FIRST_POLICY, actor="ines", why="what we run today, written down")
        clock.now_us = now_us - 9 * DAY_US
        current = plane.apply_policy("default", POLICY, actor="ines", why="trading and healthcare have rules of their own")
        clock.now_us = now_us - 3 * DAY_US
        candidate = plane.add_candidate("default", CANDIDATE, actor="tomas", why="reports leak positions")
        clock.now_us = now_us - 2 * DAY_US
        enforced = plane.set_mode("default", "enforce", actor="ines", why="nine days of log-only showed nothing we need")
        clock.now_us = now_us
        plane.create_project("payments", actor="ines", name="Payments")
        plane.set_project("payments", ProjectSettings(name="Payments"), actor="ines")
    lander = Lander(home / "warehouse" / "ledger", clock=lambda: now_us, new_id=lambda: uuid.UUID(int=random.getrandbits(128)).hex)
    person, _ = redact_text(PERSON, key=project_key(master_key(home), "default"), path="user_id")
    history = _History(
        random=random, now_us=now_us, digest=current.digest or "", enforced=enforced.digest or "", candidate=candidate.digest, person=person
    )
    rows = list(history.rows(per_day=per_day, days=days))
    tables, offsets = history.tables(rows)
    lander.land(Landing(tables=tables, offsets={APP_ID: (0, offsets)}))
    other = history.other_tenant(lander)
    return Grown(
        home=home,
        project="default",
        now_us=now_us,
        denied_logged=next(d.decision_id for d, _ in rows if d.verdict == "deny" and d.mode == "log-only"),
        denied=next((d.decision_id for d, _ in rows if d.effect == "deny"), rows[0][0].decision_id),
        other_projects=other,
        decisions=len(rows),
    )


@dataclass
class _Clock:
    now_us: int

    def __call__(self) -> int:
        self.now_us += 1
        return self.now_us


@dataclass(frozen=True, kw_only=True)
class _History:
    random: Random
    now_us: int
    digest: str
    enforced: str
    candidate: str
    person: str = ""  # a user as the project keeps one whose id is an email address

    def rows(self, *, per_day: int, days: int) -> Iterator[tuple[Decision, Scene]]:
        """Yield decisions in the order of their time: quiet nights, and a rush of denials in the last hour."""
        moments = sorted(self.now_us - int(self.random.random() ** 0.85 * days * DAY_US) for _ in range(per_day * days))
        for i, at in enumerate(moments):
            hour = at // (60 * MINUTE_US) % 24
            if hour < 6 and self.random.random() < 0.7:
                continue
            rush = self.now_us - at < 60 * MINUTE_US
            scene = self.random.choices(SCENES, [s.weight * (4 if rush and s.verdict == "deny" else 1) for s in SCENES])[0]
            if i % 97 == 5:  # rare, and never left to chance: nights are drawn by the hour the tests run at
                scene = next(hostile for hostile in SCENES if hostile.agent == HOSTILE_AGENT)
            yield self._decision(scene, at, i), scene

    def _decision(self, scene: Scene, at: int, i: int) -> Decision:
        mode = "enforce" if self.now_us - at < 2 * DAY_US else "log-only"
        unevaluated = i % 211 == 0
        if unevaluated:
            mode = "off"
        denied = scene.verdict == "deny" and mode == "enforce"
        effect = scene.verdict if mode == "enforce" else "allow"
        session = f"{scene.agent[:24]}-{at // (180 * MINUTE_US)}"
        rule = POLICY["rules"][scene.rule - 1] if scene.rule else None
        return Decision(
            decision_id=str(uuid.UUID(int=self.random.getrandbits(128), version=4)),
            occurred_at=at,
            action=scene.action,
            mode=mode,
            effect="deny" if denied else effect,
            reason_code="governance_off" if unevaluated else "matched_rule" if rule else "default_deny",
            verdict=None if unevaluated else scene.verdict,
            environment="production",
            agent_id=scene.agent,
            user_id=self.random.choice(("lena", "marco", self.person, None)),
            user_group=self.random.choice(("support", "operations")),
            session_id=session,
            trace_id=hashlib.sha256(session.encode()).hexdigest()[:32],
            tags=Raw(json.dumps({"release": "2026.11", "channel": "web"}).encode()),
            resource=scene.resource,
            tool=scene.action.split(":")[0],
            method=scene.action.split(":")[-1],
            args=Raw(json.dumps(scene.args).encode()),
            args_digest=hashlib.sha256(json.dumps(scene.args).encode()).hexdigest()[:32],
            redactions=tuple(Redaction(path="args.message", type=kind) for kind in scene.finding),
            facts=Raw(json.dumps({"agent_id": scene.agent[:64]}).encode()),
            policy_id=None if unevaluated or not rule else POLICY["name"],
            rule_id=None if unevaluated or not rule else rule.get("id", f"{POLICY['name']}#{scene.rule}"),
            reason=None if unevaluated else (rule or {}).get("reason") or ("No rule allows it." if not rule else None),
            bundle_digest=self._bundle(at),
            evaluated_rules=0 if unevaluated else scene.rule or len(POLICY["rules"]),
            evaluation_time_ns=0 if unevaluated else self.random.randrange(3_000, 40_000),
            sdk="controlzero-python/0.1.0",
        )

    def tables(self, rows: list[tuple[Decision, Scene]]) -> tuple[dict, int]:
        """Return the kinds' tables for one landing, cut into messages of 50 decisions of one producer each."""
        producers = ["0192f0aa-0000-7000-8000-00000000000a", "0192f0aa-0000-7000-8000-00000000000b", "0192f0aa-0000-7000-8000-00000000000c"]
        decisions = [decision for decision, _ in rows]
        received = [min(d.occurred_at + 180_000, self.now_us) for d in decisions]
        offsets = [i // 50 for i in range(len(rows))]
        owners = [producers[offset % 3] for offset in offsets]
        placed = {
            "project_id": pa.scalar("default"),
            "producer_id": owners,
            "seq": list(range(len(rows))),
            "received_at": received,
            "log_partition": pa.scalar(0, pa.int64()),
            "log_offset": offsets,
            "backfill": pa.scalar(False),
        }
        judged_rules = [POLICY["rules"][s.rule - 1] if s.rule else None for _, s in rows]
        judged = {
            "judged_verdict": ["not_replayable" if i % 307 == 0 else s.verdict for i, (_, s) in enumerate(rows)],
            "judged_mode": [d.mode if d.mode != "off" else "enforce" for d in decisions],
            "judged_reason_code": ["matched_rule" if rule else "default_deny" for rule in judged_rules],
            "judged_policy_id": [POLICY["name"] if rule else None for rule in judged_rules],
            "judged_rule_id": [
                rule and rule.get("id", f"{POLICY['name']}#{s.rule}") for rule, (_, s) in zip(judged_rules, rows, strict=True)
            ],
            "judged_rule": [s.rule for _, s in rows],
            "judged_bundle_digest": [self._bundle(d.occurred_at) for d in decisions],
            "not_replayable_key": ["args.amount" if i % 307 == 0 else None for i in range(len(rows))],
            "candidates": [self._candidates(d, s) for d, s in rows],
            "drift_kinds": [("governance_off",) if d.mode == "off" else () for d in decisions],
            "finding_types": [s.finding for _, s in rows],
        }
        outcomes = [(i, self._outcome(d)) for i, d in enumerate(decisions) if self.random.random() < 0.9]
        outcome_columns = {
            **columns_of(Outcome, [o for _, o in outcomes]),
            **{k: _at(v, [i for i, _ in outcomes]) for k, v in placed.items()},
        }
        tables = {
            "decision": decisions_table(decisions, placed=placed, judged=judged),
            "outcome": table_of("outcome", outcome_columns),
            "finding": rows_table("finding", self._findings(rows, received, offsets, owners)),
            "quarantine": rows_table("quarantine", self._quarantined(offsets[-1])),
            "tally": rows_table("tally", self._tallies(decisions, received, offsets, owners)),
        }
        return tables, offsets[-1] + 1

    def _bundle(self, at: int) -> str:
        return self.enforced if self.now_us - at < 2 * DAY_US else self.digest

    def _candidates(self, decision: Decision, scene: Scene) -> bytes | None:
        if self.now_us - decision.occurred_at > 3 * DAY_US:
            return None
        rule = scene.candidate_rule or (scene.rule and scene.rule + 2)
        answer = {"verdict": scene.candidate_verdict or scene.verdict, "rule_id": f"stricter-agents#{rule}" if rule else None, "rule": rule}
        return json.dumps({self.candidate: answer}).encode()

    def _outcome(self, decision: Decision) -> Outcome:
        denied = decision.effect == "deny"
        failed = not denied and self.random.random() < 0.02
        model = decision.action == "llm:generate" and not denied
        return Outcome(
            decision_id=decision.decision_id,
            occurred_at=decision.occurred_at + 400_000,
            carried_out=not denied,
            status="denied" if denied else "error" if failed else "ok",
            error_class="TimeoutError" if failed else None,
            latency_ms=None if denied else round(self.random.lognormvariate(5.5, 0.7), 1),
            input_tokens=self.random.randrange(80, 900) if model else None,
            output_tokens=self.random.randrange(20, 600) if model else None,
            cost_usd=round(self.random.random() / 50, 5) if model else None,
        )

    def _findings(self, rows: list, received: list[int], offsets: list[int], owners: list[str]) -> list[Finding]:
        found = []
        for i, (decision, scene) in enumerate(rows):
            place = {
                "project_id": "default",
                "received_at": received[i],
                "occurred_at": decision.occurred_at,
                "log_partition": 0,
                "log_offset": offsets[i],
            }
            about = {
                "decision_id": decision.decision_id,
                "producer_id": owners[i],
                "agent_id": decision.agent_id,
                "action": decision.action,
            }
            found += [
                Finding(finding_id=self._uuid(), **place, **about, type="pii", detail=kind, severity="warning", path="args.message", fingerprint="ab" * 16, message=f"{kind} in args.message, masked before it was stored.")
                for kind in scene.finding
            ]  # fmt: skip
            if decision.mode == "off":
                found.append(
                    Finding(
                        finding_id=self._uuid(),
                        **place,
                        **about,
                        type="drift",
                        detail="governance_off",
                        severity="warning",
                        message="Governance was off in this agent.",
                    )
                )
        last = {
            "project_id": "default",
            "received_at": self.now_us - 40 * MINUTE_US,
            "occurred_at": self.now_us - 41 * MINUTE_US,
            "log_partition": 0,
            "log_offset": offsets[-1],
        }
        found += [
            Finding(finding_id=self._uuid(), **last, type="sequence_gap", detail="missing", severity="critical", producer_id=owners[-1], first_seq=220, last_seq=220 + MISSING - 1, since_at=self.now_us - 95 * MINUTE_US, message="22 records of this producer never arrived."),
            Finding(finding_id=self._uuid(), **last, type="loss", detail="spool_full", severity="critical", producer_id=owners[0], count=17, since_at=self.now_us - 60 * MINUTE_US, message="The agent's spool was full: 17 records could not be kept."),
            Finding(finding_id=self._uuid(), **last, type="drift", detail="bundle_stale", severity="warning", producer_id=owners[1], agent_id="basic-support", message="Judged under a bundle that is no longer in force."),
            Finding(finding_id=self._uuid(), **last, type="secret", detail="aws_key", severity="critical", producer_id=owners[1], agent_id="admin-internal", action="vectorstore:read", path="args.query", decision_id=rows[-1][0].decision_id, message="An AWS key in args.query, masked before it was stored."),
        ]  # fmt: skip
        return found

    def _quarantined(self, offset: int) -> list[Quarantined]:
        bad = [
            (b'{"kind":"decision","decision_id":"nope"}', "invalid", "$.decision_id", "Expected `str` of length >= 36"),
            (b"{\xff\xfe broken", "not_utf8", "$", "The line is not UTF-8"),
            (
                b'{"kind":"decision","action":"<script>alert(1)</script> [email:kdfbcaemph]"}',
                "missing_field",
                "$",
                "Object missing required field `decision_id`",
            ),
        ]
        return [
            Quarantined(
                quarantine_id=self._uuid(), project_id="default", received_at=self.now_us - (i * 7 + 3) * MINUTE_US, producer_id=None, seq=i, log_partition=0,
                log_offset=offset, stage="ingest", code=code, path=path, reason=reason, length=len(raw), sha256=hashlib.sha256(raw).hexdigest(), bytes=raw,
            )
            for i, (raw, code, path, reason) in enumerate(bad)
        ]  # fmt: skip

    def _tallies(self, decisions: list[Decision], received: list[int], offsets: list[int], owners: list[str]) -> list[Tally]:
        tallies = []
        seqs: dict[str, int] = {}
        for offset in range(offsets[-1] + 1):
            first, last = offset * 50, min(offset * 50 + 50, len(decisions))
            owner, landed = owners[first], last - first
            quarantined = 3 if offset == offsets[-1] else 0
            start = seqs.get(owner, 0) + (MISSING if offset == offsets[-1] - 2 else 0)
            seqs[owner] = start + landed + quarantined
            tallies.append(
                Tally(
                    project_id="default", producer_id=owner, received_at=received[last - 1], log_id="testlog", log_partition=0, log_offset=offset, first_seq=start,
                    count=landed + quarantined, received=landed + quarantined, landed=landed, duplicate=0, quarantined=quarantined, decisions=landed, outcomes=0, losses=0,
                    lost=17 if offset == offsets[-1] - 1 else 0, total=seqs[owner], closed=False, backfill=False, ids_digest="cd" * 16,
                    occurred_min_at=decisions[first].occurred_at, occurred_max_at=decisions[last - 1].occurred_at,
                )
            )  # fmt: skip
        return tallies

    def other_tenant(self, lander: Lander) -> str:
        """Land one decision of another project, and return its id: nobody may reach it from `default`."""
        decision = self._decision(SCENES[3], self.now_us - 5 * MINUTE_US, 1)
        placed = {
            "project_id": ["payments"],
            "producer_id": ["p-payments"],
            "seq": [0],
            "received_at": [decision.occurred_at],
            "log_partition": [0],
            "log_offset": [0],
            "backfill": [False],
        }
        judged = {"judged_verdict": ["deny"], "judged_rule": [4]}
        lander.land(
            Landing(
                tables={"decision": decisions_table([decision], placed={**placed, "log_partition": [1]}, judged=judged)},
                offsets={OTHER_APP_ID: (0, 1)},
            )
        )
        return decision.decision_id

    def _uuid(self) -> str:
        return str(uuid.UUID(int=self.random.getrandbits(128), version=4))


def _at(column: object, places: list[int]) -> object:
    return column if isinstance(column, pa.Scalar) else [column[i] for i in places]  # type: ignore[index]


def land_one_more(home: Path, *, now_us: int, offset: int) -> None:
    """Land one decision that was just made, as the message `offset` of a log of its own."""
    history = _History(random=Random(offset), now_us=now_us, digest="", enforced="", candidate="")
    decision = history._decision(SCENES[0], now_us - 1_000, offset + 1)
    placed = {
        "project_id": ["default"], "producer_id": ["p-live"], "seq": [offset], "received_at": [now_us], "log_partition": [0], "log_offset": [offset], "backfill": [False],
    }  # fmt: skip
    tally = Tally(
        project_id="default", producer_id="p-live", received_at=now_us, log_id="live", log_partition=0, log_offset=offset, first_seq=offset, count=1, received=1,
        landed=1, duplicate=0, quarantined=0, decisions=1, outcomes=0, losses=0, lost=0, total=offset + 1, closed=False, backfill=False, ids_digest="cd" * 16,
        occurred_min_at=decision.occurred_at, occurred_max_at=decision.occurred_at,
    )  # fmt: skip
    tables = {
        "decision": decisions_table([decision], placed=placed, judged={"judged_verdict": ["allow"], "judged_rule": [1]}),
        "tally": rows_table("tally", [tally]),
    }
    Lander(home / "warehouse" / "ledger", clock=lambda: now_us, new_id=lambda: uuid.uuid4().hex).land(
        Landing(tables=tables, offsets={"cz/live/topic/0": (offset, offset + 1)})
    )


def land_a_line_that_could_not_be_taken(home: Path, *, now_us: int) -> None:
    """Land a message that holds nothing but one line in quarantine, as a first import of the wrong file does."""
    raw = b"{\xff\xfe broken"
    line = Quarantined(
        quarantine_id=str(uuid.UUID(int=1)), project_id="default", received_at=now_us, producer_id=None, seq=0, log_partition=0, log_offset=0,
        stage="ingest", code="not_utf8", path="$", reason="The line is not UTF-8", length=len(raw), sha256=hashlib.sha256(raw).hexdigest(), bytes=raw,
    )  # fmt: skip
    tally = Tally(
        project_id="default", producer_id="http-1", received_at=now_us, log_id="first", log_partition=0, log_offset=0, first_seq=0, count=1, received=1,
        landed=0, duplicate=0, quarantined=1, decisions=0, outcomes=0, losses=0, lost=0, total=1, closed=True, backfill=True, ids_digest="cd" * 16,
        occurred_min_at=None, occurred_max_at=None,
    )  # fmt: skip
    tables = {"quarantine": rows_table("quarantine", [line]), "tally": rows_table("tally", [tally])}
    Lander(home / "warehouse" / "ledger", clock=lambda: now_us, new_id=lambda: uuid.uuid4().hex).land(
        Landing(tables=tables, offsets={"cz/first/topic/0": (0, 1)})
    )
