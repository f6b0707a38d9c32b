"""A research agent: its model calls are governed by the wrapper, its sources one by one.

python -m examples.research_agent
"""

from pathlib import Path

import openai

import controlzero
from controlzero.integrations.openai import wrap_openai
from examples.model_stub import running_model

POLICY = Path(__file__).parent / "policies" / "research_agent.json"
PAPERS = {"audit": "Auditing what agents do (2026)", "policy": "Policies that explain themselves (2025)"}


def search_papers(query: str) -> list[str]:
    return [title for word, title in PAPERS.items() if word in query.lower()]


def research(cz: controlzero.Client, model: openai.OpenAI, query: str, source: str, writer: str) -> str:
    """Search, ask a source, and summarize; whatever the policy denies ends it there."""
    with controlzero.context(session_id=f"research-{query[:20]}"):
        cz.guard("vectorstore/research-papers", method="read", raise_on_deny=True)
        found = search_papers(query)
        cz.guard("api", method="request", args={"url": source}, raise_on_deny=True)
        written = model.chat.completions.create(model=writer, messages=[{"role": "user", "content": f"Summarize: {found}"}])
    return written.choices[0].message.content or ""


def main() -> None:
    with running_model() as url, controlzero.Client(policy_file=POLICY, agent_id="research-agent") as cz:
        model = wrap_openai(openai.OpenAI(base_url=url, api_key="none"), cz, agent_id="research-agent")
        for source, writer in (
            ("https://api.scholar.google.com/papers", "gpt-5.4-mini"),
            ("https://paste.example.net/dump", "gpt-5.4-mini"),
            ("https://api.scholar.google.com/papers", "gpt-5.4"),
        ):
            try:
                print(f"{source} by {writer}: {research(cz, model, 'How is an audit done?', source, writer)}")
            except controlzero.PolicyDeniedError as denied:
                print(f"{source} by {writer}: {denied}")


if __name__ == "__main__":
    main()
