"""The agents of the demonstration and what each of them does on an ordinary day."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any


@dataclass(frozen=True, kw_only=True)
class Call:
    """What an agent is about to do: the arguments of a `guard()`."""

    tool: str
    method: str | None = None
    args: Mapping[str, Any] | None = None
    resource: str | None = None


@dataclass(frozen=True, kw_only=True)
class Agent:
    """One of the cast: how busy it is by day (calls an hour), whom it works for, and how it chooses its next call."""

    name: str
    calls_per_hour: float
    users: tuple[str, ...]
    user_group: str
    works_at_night: bool
    next_call: Callable[[Random], Call]


QUESTIONS = (
    "Where is my parcel?",
    "Summarise the last three tickets of this customer.",
    "Draft a friendly answer about the delay.",
    "What changed in the contract since May?",
    "Translate this answer into French.",
    "Which orders are late this week?",
)
FIRST_NAMES = ("ada", "grace", "alan", "edsger", "barbara", "donald", "margaret", "tony")
LAST_NAMES = ("meyer", "okafor", "silva", "novak", "tanaka", "haddad", "larsen", "moreau")


def chat(random: Random, model: str) -> Call:
    """Ask a model something a customer would."""
    return Call(tool="llm", method="generate", args={"model": model, "messages": [{"role": "user", "content": random.choice(QUESTIONS)}]})


def support_tool(name: str, **args: object) -> Call:
    """Call one of the support tools by its name."""
    return Call(tool="tool", method="call", args=args, resource=f"tool/{name}")


def order_id(random: Random) -> str:
    """Return an order number."""
    return f"A-{random.randrange(10_000, 99_999)}"


def person_mail(random: Random) -> str:
    """Return the e-mail address of nobody."""
    return f"{random.choice(FIRST_NAMES)}.{random.choice(LAST_NAMES)}@example.com"


def leak(random: Random) -> Call:
    """Write a customer's personal data into a message that leaves the company."""
    card = random.choice(("4111 1111 1111 1111", "5500 0000 0000 0004", "3782 822463 10005"))
    body = f"Hi {person_mail(random)}, we charged card {card}. Call +1 415 555 {random.randrange(1000, 9999)} with questions."
    return Call(tool="notification", method="send", args={"channel": "email-customers", "body": body})


def _premium(random: Random) -> Call:
    return chat(random, "gpt-5.4" if random.random() < 0.8 else "gpt-5.4-mini")


def _basic(random: Random) -> Call:
    return chat(random, "gpt-5.4" if random.random() < 0.05 else "gpt-3.5-turbo")


def _admin(random: Random) -> Call:
    roll = random.random()
    if roll < 0.5:
        return chat(random, "gpt-5.4")
    if roll < 0.95:
        return Call(tool="data", method="read", args={"table": random.choice(("orders", "tickets", "usage"))})
    return Call(tool="data", method="write", args={"table": "orders", "rows": random.randrange(1, 40)})


def _support(random: Random) -> Call:
    roll = random.random()
    if roll < 0.45:
        return chat(random, "gpt-4")
    if roll < 0.70:
        return support_tool("lookup_order", order_id=order_id(random))
    if roll < 0.86:
        return support_tool("lookup_account", customer_id=f"C-{random.randrange(100, 999)}")
    if roll < 0.92:
        return support_tool("escalate_to_human", reason="the customer asks for a person")
    if roll < 0.96:
        return support_tool("issue_refund", order_id=order_id(random), amount=round(random.uniform(5, 180), 2))
    return Call(tool="notification", method="send", args={"channel": "slack-support", "body": f"Order {order_id(random)} is late again"})


def _trading(random: Random) -> Call:
    roll = random.random()
    if roll < 0.55:
        return Call(
            tool="trade",
            method="quote",
            args={"asset": random.choice(("AAPL", "MSFT", "NVDA", "BTC")), "amount": random.randrange(500, 80_000)},
        )
    if roll < 0.90:
        return Call(
            tool="trade", method="execute", args={"asset": random.choice(("AAPL", "MSFT", "NVDA")), "amount": random.randrange(500, 20_000)}
        )
    if roll < 0.94:
        return Call(tool="trade", method="execute", args={"asset": random.choice(("BTC", "ETH")), "amount": random.randrange(100, 5_000)})
    return Call(tool="report", method="generate", args={"report": "portfolio-summary"})


def _healthcare(random: Random) -> Call:
    roll = random.random()
    if roll < 0.35:
        return chat(random, "gpt-4")
    if roll < 0.80:
        return Call(
            tool="patient",
            method="read",
            args={"record": random.choice(("demographics", "lab-results")), "patient": f"P-{random.randrange(1, 400):04d}"},
        )
    if roll < 0.97:
        return Call(tool="patient", method="write", args={"record": "notes", "patient": f"P-{random.randrange(1, 400):04d}"})
    return Call(tool="patient", method="read", args={"record": "billing", "patient": f"P-{random.randrange(1, 400):04d}"})


CAST = (
    Agent(
        name="premium-support",
        calls_per_hour=34,
        users=("u-lena", "u-marco"),
        user_group="support",
        works_at_night=False,
        next_call=_premium,
    ),
    Agent(
        name="basic-support",
        calls_per_hour=60,
        users=("u-ines", "u-tomas", "u-yuki"),
        user_group="support",
        works_at_night=True,
        next_call=_basic,
    ),
    Agent(name="admin-internal", calls_per_hour=12, users=("u-root",), user_group="administrators", works_at_night=False, next_call=_admin),
    Agent(name="support-bot", calls_per_hour=90, users=("u-web",), user_group="customers", works_at_night=True, next_call=_support),
    Agent(
        name="trading-agent",
        calls_per_hour=40,
        users=("u-desk-1", "u-desk-2"),
        user_group="traders",
        works_at_night=False,
        next_call=_trading,
    ),
    Agent(
        name="healthcare-agent", calls_per_hour=26, users=("u-ward-3",), user_group="clinicians", works_at_night=True, next_call=_healthcare
    ),
)
BY_NAME: Mapping[str, Agent] = {agent.name: agent for agent in CAST}
