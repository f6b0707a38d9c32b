"""The policy that the first project starts with; `starter.yaml` explains each of its rules."""

from importlib.resources import files

STARTER_POLICY = (files("controlplane") / "starter.yaml").read_text(encoding="utf-8")
