"""Control Zero: judge each call of an AI agent by policy, and record what was decided."""
