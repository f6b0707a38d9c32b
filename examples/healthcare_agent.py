"""An agent on a ward: which records it reads and writes is the policy's word, and personal data in its notes is masked in the record.

python -m examples.healthcare_agent
"""

import json
from pathlib import Path

import openai

import controlzero
from controlzero.integrations.openai import wrap_openai
from examples.model_stub import running_model

POLICY = Path(__file__).parent / "policies" / "healthcare_agent.json"
RECORDS = {"demographics": "born 1958", "lab-results": "potassium 4.1", "billing": "open: 120.00", "notes": ""}
TOOLS = [
    {
        "type": "function",
        "function": {
            "name": name,
            "parameters": {"type": "object", "properties": {"record": {"type": "string", "enum": list(RECORDS)}, **more}},
        },
    }
    for name, more in (("patient_read", {}), ("patient_write", {"text": {"type": "string"}}))
]


def carry_out(cz: controlzero.Client, method: str, arguments: dict[str, str]) -> str:
    """Read or write a patient's record, if the policy lets it; the outcome is recorded either way."""
    with cz.guarded("patient", method=method, args=arguments):
        if method == "read":
            return RECORDS[arguments["record"]]
        RECORDS[arguments["record"]] = arguments["text"]
        return "written"


def main() -> None:
    with running_model() as url, controlzero.Client(policy_file=POLICY, agent_id="ward-7") as cz:
        model = wrap_openai(openai.OpenAI(base_url=url, api_key="none"), cz)
        with controlzero.context(user_id="nurse-12", user_group="ward-7"):
            for request in (
                "Read the lab-results",
                "Read the billing",
                "Write to the notes: call the daughter at ada@example.org",
                "Write to the demographics: born 1959",
            ):
                said = model.chat.completions.create(model="gpt-5.4", messages=[{"role": "user", "content": request}], tools=TOOLS)
                (call,) = said.choices[0].message.tool_calls or []
                try:
                    done = carry_out(cz, call.function.name.removeprefix("patient_"), json.loads(call.function.arguments))
                except controlzero.PolicyDeniedError as denied:
                    done = f"not done. {denied.decision.reason}"
                print(f"{request}: {done}")


if __name__ == "__main__":
    main()
