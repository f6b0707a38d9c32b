"""A trading agent: the model proposes a trade, and a function governed by a decorator carries it out or does not.

python -m examples.trading_agent
"""

import json
from pathlib import Path

import openai

import controlzero
from controlzero.integrations.openai import wrap_openai
from examples.model_stub import running_model

POLICY = Path(__file__).parent / "policies" / "trading_agent.json"
BUY = {
    "type": "function",
    "function": {
        "name": "buy",
        "parameters": {
            "type": "object",
            "properties": {"asset": {"type": "string", "enum": ["AAPL", "MSFT", "BTC"]}, "amount": {"type": "number"}},
        },
    },
}


def main() -> None:
    with running_model() as url, controlzero.Client(policy_file=POLICY, agent_id="trader") as cz:
        model = wrap_openai(openai.OpenAI(base_url=url, api_key="none"), cz)

        @cz.tool("trade", method="execute")
        def execute(asset: str, amount: float) -> str:
            return f"bought {asset} for {amount:,.0f}"

        for order in ("Buy AAPL for 500", "Buy BTC for 500", "Buy MSFT for 25000"):
            proposed = model.chat.completions.create(model="gpt-5.4", messages=[{"role": "user", "content": order}], tools=[BUY])
            (call,) = proposed.choices[0].message.tool_calls or []
            try:
                print(f"{order}: {execute(**json.loads(call.function.arguments))}")
            except controlzero.PolicyDeniedError as denied:
                print(f"{order}: not done. {denied.decision.reason}")

        cz.guard("report", method="generate", args={"report": "portfolio-summary"}, raise_on_deny=True)
        for channel in ("slack-alerts", "email-clients"):
            sent = cz.guard("notification", method="send", args={"channel": channel})
            print(f"Report to {channel}: {'sent' if sent.allowed else 'not sent'}")


if __name__ == "__main__":
    main()
