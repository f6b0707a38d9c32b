"""No method of the installed anthropic library reaches a model ungoverned: each is called under a policy that denies everything."""

import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import anthropic
import pytest
from anthropic._resource import SyncAPIResource

from controlzero import Client
from controlzero.integrations.anthropic import GOVERNED, wrap_anthropic
from tests.client_routes import EverythingServer, filled, methods, server, tried

__all__ = ["server"]  # the fixture

POLICY: dict[str, Any] = {"name": "nothing", "rules": []}

# What runs no model. A route of a new version that is neither here nor in ROUTES fails the test: somebody has to decide.
PASSED = re.compile(
    "/v1(?:/organizations/.*|/agents.*|/files.*|/skills.*|/vaults.*|/tunnels.*|/user_profiles.*|/memory_stores.*|/environments.*"
    "|/messages/count_tokens|/messages/batches/x(/cancel)?|/models/x"
    "|/deployments/x|/deployments/x/(archive|pause)|/dreams/x/(archive|cancel)|/sessions/x|/sessions/x/archive|/sessions/x/(resources|threads).*)"
)
# No request that could run a model: reading and deleting, administration; or not one request of its own.
UNTRIED = re.compile(
    r"(beta\.)?organization\..*|.*\.(list|retrieve|delete|download)|.*(poll|wait|worker|tool_runner|messages\.thread|unwrap|webhooks|results).*"
)
KNOWN: dict[str, Any] = {"file": b"x", "files": [b"x"], "max_tokens": 9, "requests": [], "events": []}


def test_no_method_of_the_client_reaches_a_model(cz: Client, server: EverythingServer) -> None:
    results: dict[str, str] = {}
    with (
        anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0, timeout=5) as plain,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        for name, method in methods(wrap_anthropic(plain, cz), SyncAPIResource):
            if not UNTRIED.fullmatch(name) and not inspect.iscoroutinefunction(method):

                def call(name: str = name, method: Callable[..., Any] = method) -> None:
                    made = method(**filled(method, KNOWN))
                    if hasattr(made, "__enter__"):
                        made.__enter__()

                results[name] = tried(name, call, server)
    assert {name: told for name, told in results.items() if told not in ("denied", "arrived")} == {}
    posts = {path for method, path in server.arrived if method == "POST"}
    assert [path for path in posts if GOVERNED.search(path)] == []
    assert [path for path in sorted(posts) if not PASSED.fullmatch(path)] == []
    denied = {name for name, told in results.items() if told == "denied"}
    assert {"messages.create", "messages.stream", "messages.batches.create", "beta.messages.create"} <= denied
    assert len(denied) >= 6


@pytest.mark.parametrize("path", ["/v1/messages/", "/v1/./messages", "/v1//messages", "/v1/%6dessages", "/v1/messages?beta=true"])
def test_a_path_in_another_spelling_is_the_same_path(path: str, cz: Client, server: EverythingServer) -> None:
    with anthropic.Anthropic(api_key="k", base_url=f"http://127.0.0.1:{server.server_port}", max_retries=0, timeout=5) as plain:
        told = tried(path, lambda: wrap_anthropic(plain, cz).post(path, body={"model": "x"}, cast_to=object), server)
    assert told == "denied"
