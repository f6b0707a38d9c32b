"""What a verdict means for the caller under a mode: nothing here depends on how the verdict came about."""

from controlzero.policy.model import RuleMode
from controlzero.records import Effect, Mode, Verdict


def mode_of(mode: Mode, rule_mode: RuleMode | None) -> Mode:
    """Return the mode a call is under: its project's, but log-only where the project enforces and the deciding rule only logs."""
    return "log-only" if rule_mode == "log-only" and mode == "enforce" else mode


def effect_of(verdict: Verdict | None, mode: Mode) -> tuple[Effect, bool]:
    """Return the effect, and whether the action goes ahead. Under `log-only` and `off` every action does."""
    if mode == "enforce" and verdict is not None:
        return verdict, verdict != "deny"
    return "allow", True
