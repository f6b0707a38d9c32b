"""What of the reference is generated, and how: blocks in pages that people wrote, and whole files."""

from collections.abc import Callable, Mapping

from cz.policy_schema import schema_text
from docs.generate import asyncapi, commands, environment, http, ledger, policy_fields, public_names, records, schemas
from docs.generate.blocks import Block

PAGES: Mapping[str, Callable[[], Mapping[str, Block]]] = {
    "cli.md": commands.blocks,
    "control-zero.md": public_names.hosted_blocks,
    "http-api.md": http.blocks,
    "ledger.md": ledger.blocks,
    "policy.md": policy_fields.blocks,
    "python-sdk.md": public_names.blocks,
    "records.md": records.blocks,
    "settings.md": environment.blocks,
}


def whole_files() -> dict[str, str]:
    """Return the files that are generated as a whole, by their path under docs/reference."""
    records = {f"schemas/{kind}.json": text for kind, text in schemas.schemas().items()}
    policies = {"schemas/policy.json": schema_text("policies"), "schemas/policy-cases.json": schema_text("cases")}
    return {"asyncapi.json": asyncapi.document(), **records, **policies}
