"""Every example runs as a program of its own and says what its policy makes of it."""

import re
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from examples.model_stub import running_model
from tests.environments import without_ours

REPOSITORY = Path(__file__).parents[3]
EXAMPLES = REPOSITORY / "examples"
SAID = {
    "support_bot": ["lookup_order: {'order_id': 'A-1007'", "lookup_account: {'customer_id': 'C-17'", "Refunds are approved by a person."],
    "research_agent": [
        "papers by gpt-5.4-mini: I have read: Summarize: ['Auditing what agents do (2026)']",
        "dump by gpt-5.4-mini: api:request is denied: Research asks the catalogue of papers",
        "papers by gpt-5.4: llm:generate is denied: Summaries are written by the small model.",
    ],
    "trading_agent": [
        "Buy AAPL for 500: bought AAPL for 500",
        "Buy BTC for 500: not done. No crypto.",
        "Buy MSFT for 25000: not done. More than 1,000",
        "slack-alerts: sent",
        "email-clients: not sent",
    ],
    "mcp_proxy": [
        "read_note: answered: call the auditor\nerase_note: refused: ",
        "Notes are kept.",
        "\nread_note: answered: call the auditor",
    ],
    "healthcare_agent": [
        "lab-results: potassium 4.1",
        "billing: not done. Billing is not the ward's.",
        "ada@example.org: written",
        "1959: not done. The agent writes notes alone.",
    ],
}


def test_every_example_is_run_and_told_of() -> None:
    scripts = {path.stem for path in EXAMPLES.glob("*.py")} - {"model_stub", "notes_server"}
    assert scripts == set(SAID)
    assert set(re.findall(r"\| \[(\w+)\.py\]", (EXAMPLES / "README.md").read_text(encoding="utf-8"))) == scripts


@pytest.mark.parametrize("name", SAID)
def test_an_example_does_what_its_policy_says(name: str, tmp_path: Path) -> None:
    environment = without_ours()
    done = subprocess.run(
        [sys.executable, "-W", "error", "-m", f"examples.{name}"],
        cwd=REPOSITORY,
        env={**environment, "CONTROLZERO_SPOOL": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert (done.returncode, done.stderr) == (0, "")
    for said in SAID[name]:
        assert said in done.stdout
    kept = b"".join(path.read_bytes() for path in tmp_path.rglob("*.records"))
    assert kept.count(b'"kind":"decision"') > 1
    assert b"ada@example.org" not in kept


def test_the_model_says_what_it_does_not_answer() -> None:
    with running_model() as url:
        client = openai.OpenAI(base_url=url, api_key="sk-none")
        with pytest.raises(openai.NotFoundError, match="chat completions alone"):
            client.embeddings.create(model="text-embedding-3-small", input="hello")
