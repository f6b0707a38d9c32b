"""A support bot: it looks orders up, and is kept from issuing refunds, which it then hands to a person.

python -m examples.support_bot
"""

import json
from pathlib import Path

import openai

import controlzero
from examples.model_stub import running_model

POLICY = Path(__file__).parent / "policies" / "support_bot.json"


def lookup_order(order_id: str) -> dict[str, str]:
    return {"order_id": order_id, "status": "shipped", "eta": "2026-12-05"}


def lookup_account(customer_id: str) -> dict[str, str]:
    return {"customer_id": customer_id, "tier": "premium"}


def issue_refund(order_id: str, amount: float) -> dict[str, object]:
    return {"order_id": order_id, "refund_amount": amount, "status": "processed"}


def escalate_to_human(reason: str) -> dict[str, object]:
    return {"escalated": True, "reason": reason}


TOOLS = {
    function.__name__: (function, {name: {"type": "number" if name == "amount" else "string"} for name in names})
    for function, names in (
        (lookup_order, ["order_id"]),
        (lookup_account, ["customer_id"]),
        (issue_refund, ["order_id", "amount"]),
        (escalate_to_human, ["reason"]),
    )
}
OFFERED = [
    {"type": "function", "function": {"name": name, "parameters": {"type": "object", "properties": properties}}}
    for name, (_, properties) in TOOLS.items()
]


def answer(cz: controlzero.Client, model: openai.OpenAI, message: str) -> str:
    """Answer a customer: the model chooses a tool, the policy says whether it may be used."""
    cz.enforce("llm.generate", resource="model/gpt-4")
    chosen = model.chat.completions.create(model="gpt-4", messages=[{"role": "user", "content": message}], tools=OFFERED)
    calls = chosen.choices[0].message.tool_calls
    if not calls:
        return chosen.choices[0].message.content or ""
    name, arguments = calls[0].function.name, json.loads(calls[0].function.arguments)
    try:
        cz.enforce("tool.call", resource=f"tool/{name}", args=arguments)
    except controlzero.PolicyDeniedError as denied:
        cz.enforce("tool.call", resource="tool/escalate_to_human")
        return f"{denied.decision.reason} {escalate_to_human(message)}"
    return f"{name}: {TOOLS[name][0](**arguments)}"


def main() -> None:
    with running_model() as url, controlzero.Client(policy_file=POLICY, agent_id="support-bot") as cz:
        model = openai.OpenAI(base_url=url, api_key="none")
        for message in ("Where is my order A-1007?", "What tier is my account C-17?", "I want a refund of 25.50 for order A-1007"):
            print(f"Customer: {message}\n     Bot: {answer(cz, model, message)}")


if __name__ == "__main__":
    main()
