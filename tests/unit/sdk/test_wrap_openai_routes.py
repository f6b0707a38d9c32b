"""No method of the installed openai library reaches a model ungoverned: each is called under a policy that denies everything."""

import asyncio
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import openai
from openai._resource import AsyncAPIResource, SyncAPIResource

from controlzero import Client, PolicyDeniedError
from controlzero.integrations.openai import ACTIONS, wrap_openai
from controlzero.integrations.wrapping import route_pattern
from tests.client_routes import EverythingServer, filled, methods, server, tried

__all__ = ["server"]  # the fixture

POLICY: dict[str, Any] = {"name": "nothing", "rules": []}
GOVERNED = route_pattern(*(path for paths in ACTIONS.values() for path in paths))
# What runs no model. A route of a new version that is neither here nor in ACTIONS fails the test: somebody has to decide.
PASSED = re.compile(
    "/v1(?:/files.*|/uploads.*|/vector_stores.*|/containers.*|/skills.*|/vaults.*|/webhook_endpoints.*"
    "|/conversations.*|/assistants.*|/fine_tuning/(?!alpha/graders/run).*|/evals|/evals/x|/evals/x/runs/x(/cancel)?|/batches/x/cancel"
    "|/audio/voice.*|/videos/characters|/content_provenance_checks|/moderations|/models/x"
    "|/chat/completions/x|/responses/x(/cancel)?|/responses/input_tokens|/chatkit/sessions/x/cancel|/chatkit/files"
    "|/threads|/threads/x|/threads/x/messages.*|/threads/x/runs/x|/threads/x/runs/x/cancel"
    "|/agents|/agents/x|/agents/environments.*|/agents/automations/x/pause|/agents/sessions/x"
    "|/realtime/calls/x/(hangup|refer|reject)|/live/sessions/x/(hangup|refer|reject))"
)
# No request that could run a model: reading and deleting, administration; or not one request: asking until something has happened.
UNTRIED = re.compile(
    r"admin\..*|.*\.(list|retrieve|delete|content)|.*(poll|wait|artifacts\.for_result|files\.(prepare|prepare_directory|upload)|upload_file_chunked|unwrap|verify_signature).*"
)
KNOWN: dict[str, Any] = {
    "file": b"x",
    "image": b"x",
    "audio": b"x",
    "files": [b"x"],
    "data": b"x",
    "video": b"x",
    "audio_sample": b"x",
    "recording": b"x",
    "consent": "x",
}
EITHER: dict[str, dict[str, Any]] = {  # methods with several ways to be called, none of whose arguments is required
    "responses.stream": {"input": "x", "model": "x"},
    "audio.voices.create": {"name": "x", "prompt": "x", "type": "x"},
    "beta.agents.automations.create": {"name": "x", "run_at": "x", "target": {}, "type": "x", "expression": "x", "timezone": "x"},
    "beta.agents.environments.files.create": {"file_id": "x", "path": "x", "type": "x"},
}


def options(kind: type, server: EverythingServer) -> dict[str, Any]:
    given = {"api_key": "k", "base_url": f"http://127.0.0.1:{server.server_port}/v1", "max_retries": 0, "timeout": 5.0}
    return given | ({"admin_api_key": "k"} if "admin_api_key" in inspect.signature(kind).parameters else {})


def arguments(name: str, method: Callable[..., Any]) -> dict[str, Any]:
    return filled(method, KNOWN) | EITHER.get(name, {})


def check(results: dict[str, str], server: EverythingServer) -> None:
    assert {name: told for name, told in results.items() if told not in ("denied", "arrived")} == {}
    posts = {path for method, path in server.arrived if method != "GET"}
    assert [path for path in posts if GOVERNED.search(path)] == []
    assert [path for path in sorted(posts) if not PASSED.fullmatch(path)] == []
    denied = {name for name, told in results.items() if told == "denied"}
    assert {"chat.completions.create", "chat.completions.parse", "responses.create", "responses.connect", "embeddings.create"} <= denied
    assert len(denied) >= 30


def test_no_method_of_the_client_reaches_a_model(cz: Client, server: EverythingServer) -> None:
    results = {}
    with openai.OpenAI(**options(openai.OpenAI, server)) as plain, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        for name, method in methods(wrap_openai(plain, cz), SyncAPIResource):
            if not UNTRIED.fullmatch(name):

                def call(name: str = name, method: Callable[..., Any] = method) -> None:
                    made = method(**arguments(name, method))
                    if hasattr(made, "__enter__"):
                        made.__enter__()

                results[name] = tried(name, call, server)
    check(results, server)


def test_no_method_of_the_asyncio_client_reaches_a_model(cz: Client, server: EverythingServer) -> None:
    async def reached(name: str, method: Callable[..., Any]) -> None:
        made = method(**arguments(name, method))
        if inspect.isawaitable(made):
            made = await made
        if hasattr(made, "__aenter__"):
            await made.__aenter__()

    async def all_tried() -> dict[str, str]:
        results = {}
        async with openai.AsyncOpenAI(**options(openai.AsyncOpenAI, server)) as plain:
            for name, method in methods(wrap_openai(plain, cz), AsyncAPIResource):
                if not UNTRIED.fullmatch(name):
                    before = len(server.arrived)
                    try:
                        await reached(name, method)
                        told = "arrived" if len(server.arrived) > before else "never sent"
                    except PolicyDeniedError:
                        told = "denied" if len(server.arrived) == before else "denied late"
                    except Exception as error:  # noqa: BLE001 - as above
                        told = "arrived" if len(server.arrived) > before else f"never sent: {error!r}"
                    results[name] = told
        return results

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        check(asyncio.run(all_tried()), server)
