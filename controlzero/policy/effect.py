"""What a verdict means for the caller under a mode: nothing here depends on how the verdict came about."""

from controlzero.records import Effect, Mode, Verdict


def effect_of(verdict: Verdict | None, mode: Mode) -> tuple[Effect, bool]:
    """Return the effect, and whether the action goes ahead. Under `log-only` and `off` every action does."""
    if mode == "enforce" and verdict is not None:
        return verdict, verdict != "deny"
    return "allow", True
