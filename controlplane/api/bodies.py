"""What the bodies of several routes have in common."""

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field

WhyText = Annotated[str | None, Field(max_length=2_000, description="Why, for the control log.")]
EnvironmentId = Annotated[str | None, Field(pattern="^[a-z0-9_-]{1,64}$", description="Default: all environments.")]
ToolName = Annotated[str, Path(pattern="^[A-Za-z0-9_.-]{1,100}$")]


class Body(BaseModel):
    """What a request says: nothing that is not asked for."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Reason(Body):
    """Why a change is made."""

    why: WhyText = None


def why_of(body: Reason | None) -> str | None:
    """Return the reason of a body that may be left out."""
    return None if body is None else body.why
