"""Policies: parse them, compile them, judge requests by them. One evaluator for agents, workers and replays."""

from controlzero.policy.effect import effect_of, mode_of
from controlzero.policy.evaluate import CompiledPolicy, CompiledRule, Judgement
from controlzero.policy.evaluate import compile_policies as compile  # noqa: A004 - `controlzero.policy.compile` is its public name
from controlzero.policy.lint import denies_everything, lint, located
from controlzero.policy.model import Policy, Rule
from controlzero.policy.parse import canonical, load, parse, policy_digest
from controlzero.policy.request import Identity, Masked, Request, request_for_enforce, request_for_guard

__all__ = [
    "CompiledPolicy",
    "CompiledRule",
    "Identity",
    "Judgement",
    "Masked",
    "Policy",
    "Request",
    "Rule",
    "canonical",
    "compile",
    "denies_everything",
    "effect_of",
    "lint",
    "load",
    "located",
    "mode_of",
    "parse",
    "policy_digest",
    "request_for_enforce",
    "request_for_guard",
]
