"""What one call of a tool comes to: judged first, carried out only then, and its outcome recorded."""

import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

from controlzero.decisions import PolicyDecision, carrying_out, since_ms
from controlzero.governance import Governance

Facts = Mapping[str, object]


@contextmanager
def governed_call(
    governance: Governance, tool: str, method: str, arguments: Facts | None, context: Facts | None
) -> Iterator[PolicyDecision]:
    """Judge `tool:method`, let the block carry it out, record what became of it. Raises `PolicyDeniedError` before the block.

    Whatever a tool is, a rule for `mcp.tool:call` on `mcp://tool/method` is about it as well.
    """
    decision = governance.guard(tool, method, arguments, context, None, None, None, mcp_url=f"mcp://{tool}/{method}")
    with carrying_out(decision):
        started = time.perf_counter()
        try:
            yield decision
        except BaseException as error:
            if not getattr(error, "was_asked", True):
                decision.outcome("error", carried_out=False, error=error, latency_ms=since_ms(started))
            raise


def llm_request(
    governance: Governance, model: str, provider: str, estimated_tokens: int, functions: Sequence[Any] | None, *, has_pii: bool
) -> dict[str, Any]:
    """Judge and record a request to a model, and return the decision as a dict."""
    args = {"model": model, "provider": provider, "estimated_tokens": estimated_tokens, "has_pii": has_pii}
    if functions is not None:
        args["functions"] = [_function_name(function) for function in functions]
    return decision_dict(governance.guard("llm", "generate", args, {"resource": f"model/{model}"}, None, None, None))


def _function_name(function: Any) -> object:
    """Return the name in what a model is offered: a name, a function, or a tool as OpenAI or Anthropic writes it."""
    if isinstance(function, Mapping):
        inner = function.get("function")
        return inner.get("name") if isinstance(inner, Mapping) else function.get("name")
    return function if isinstance(function, str) else getattr(function, "__name__", str(function))


def decision_dict(decision: PolicyDecision) -> dict[str, Any]:
    """Return a decision as a dict: the documented attributes, and what tells why they are as they are."""
    return {
        "effect": decision.effect,
        "policy_id": decision.policy_id,
        "reason": decision.reason,
        "evaluated_rules": decision.evaluated_rules,
        "evaluation_time_ns": decision.evaluation_time_ns,
        "allowed": decision.allowed,
        "verdict": decision.verdict,
        "mode": decision.mode,
        "rule_id": decision.rule_id,
        "decision_id": decision.decision_id,
    }
