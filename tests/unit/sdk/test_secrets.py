"""Secrets: in memory from the start, masked wherever they turn up, wiped at the end, and shown by nothing."""

import asyncio
import copy
import json
import logging
import pickle
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

import controlzero
from controlzero import AsyncClient, Client, ControlZero, Rejected, Unavailable
from controlzero.masking import Masking
from controlzero.records import Redaction
from controlzero.testing import InMemoryGateway
from controlzero.vault import Vault
from tests.served_double import served

SECRET = 'sk-of-nobodys "pattern" \\ ünï/7'
PIN = "90210907"
SECRETS = {"openai": SECRET, "pin": PIN, "short": "abc"}


@pytest.fixture
def gateway() -> InMemoryGateway:
    gateway = InMemoryGateway(policy={"rules": [{"effect": "allow", "action": "*"}]}, mode="enforce")
    gateway.put_session(secrets=SECRETS)
    return gateway


@pytest.fixture
def url(gateway: InMemoryGateway) -> Iterator[str]:
    with served(gateway) as port:
        yield f"http://127.0.0.1:{port}"


@pytest.fixture
def cz(url: str, tmp_path: Path) -> Iterator[ControlZero]:
    with ControlZero(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path) as client:
        yield client


def test_a_secret_is_a_look_up_without_a_network(cz: ControlZero, gateway: InMemoryGateway) -> None:
    asked = len(gateway.requests)
    assert [cz.get_secret("openai") for _ in range(100)] == [SECRET] * 100
    assert gateway.requests[:asked].count("GET /v1/session") == 1
    assert [request for request in gateway.requests[asked:] if "bundle" not in request] == []


def test_secrets_outlive_the_gateway(gateway: InMemoryGateway, tmp_path: Path) -> None:
    with served(gateway) as port:
        cz = ControlZero(api_key="cz_test_key", base_url=f"http://127.0.0.1:{port}", secrets_enabled=True, spool=tmp_path)
        cz.initialize()
    assert cz.get_secret("pin") == PIN
    cz.close(0)


def test_an_unknown_name_is_told_which_there_are(cz: ControlZero) -> None:
    with pytest.raises(
        Rejected, match="secret `opnai`: there is none of that name, expected one of openai, pin, short; did you mean `openai`"
    ):
        cz.get_secret("opnai")


def test_nothing_is_asked_for_and_nothing_had_without_being_enabled(url: str, gateway: InMemoryGateway, tmp_path: Path) -> None:
    with Client(api_key="cz_test_key", base_url=url, spool=tmp_path) as cz, pytest.raises(Rejected, match="secrets_enabled=True"):
        cz.get_secret("openai")
    assert "GET /v1/session" not in gateway.requests


def test_before_initialize_the_way_out_is_told(url: str, tmp_path: Path) -> None:
    cz = ControlZero(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path)
    with pytest.raises(RuntimeError, match="call initialize"):
        cz.get_secret("openai")


def test_a_key_without_the_right_is_refused_at_the_start(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    gateway.put_session()
    with pytest.raises(Rejected, match="may not read secrets; expected one with the scope `secrets:read`"):
        Client(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path)


def test_where_there_are_none_the_look_up_says_so(gateway: InMemoryGateway, url: str, tmp_path: Path) -> None:
    gateway.put_session(secrets={})
    with (
        Client(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path) as cz,
        pytest.raises(Rejected, match="the project has none"),
    ):
        cz.get_secret("openai")


def test_without_a_server_there_is_nobody_to_ask(tmp_path: Path) -> None:
    (tmp_path / "policy.json").write_text('{"rules": []}')
    with pytest.raises(Rejected, match="expected an API key"):
        Client(policy_file=tmp_path / "policy.json", secrets_enabled=True, spool=tmp_path)


class SessionRefused(InMemoryGateway):
    """A gateway that answers only the session otherwise."""

    status = 403

    def handle_request(self, request: Any) -> Any:
        if request.url.path == "/v1/session":
            self.requests.append("GET /v1/session")
            return self._problem(self.status, "not with this key")
        return super().handle_request(request)


def test_a_refusal_is_told_at_once_and_leaves_no_client_behind(tmp_path: Path) -> None:
    gateway = SessionRefused(policy={"rules": []})
    with pytest.raises(Rejected, match="may not read the session"):
        Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, secrets_enabled=True, spool=tmp_path)
    assert gateway.requests.count("GET /v1/session") == 1


def test_a_gateway_that_is_busy_is_asked_again(gateway: InMemoryGateway, tmp_path: Path) -> None:
    gateway = SessionRefused(policy={"rules": []})
    gateway.status = 503
    with pytest.raises(Unavailable, match="answered 503 for the session"):
        Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, secrets_enabled=True, spool=tmp_path)
    assert gateway.requests.count("GET /v1/session") > 3


def test_close_wipes_the_memory_when_the_last_who_asked_for_secrets_is_gone(url: str, tmp_path: Path) -> None:
    def a_client(**given: Any) -> Client:
        return Client(api_key="cz_test_key", base_url=url, spool=tmp_path, **given)

    first, second, other = a_client(secrets_enabled=True), a_client(secrets_enabled=True), a_client()
    vault = first.governance._connection.vault
    held = list(vault._held.values()) + list(vault._spellings)
    first.close()
    assert second.get_secret("pin") == PIN
    with pytest.raises(Rejected, match="is closed, and what it held is wiped"):
        first.get_secret("pin")
    second.close()
    assert len(held) > len(SECRETS)
    assert all(not any(each) for each in held)
    assert vault._held == {}
    other.close()


def test_a_secret_is_masked_wherever_it_turns_up(cz: ControlZero, gateway: InMemoryGateway) -> None:
    cz.guard(
        "http",
        method="call",
        args={"header": f"Bearer {SECRET}", "pin": int(PIN), "deep": [{SECRET: [SECRET, {"x": f"{PIN}0"}]}], "n": 1.5},
        context={"user_id": SECRET, "resource": f"host/{PIN}", "note": SECRET, "tags": {"t": SECRET}},
        text=f"the key is {SECRET}, and again {SECRET}",
    )
    cz.enforce(f"call.{PIN}")
    cz.flush()
    lines = b"".join(line for producer in gateway.producers() for line in gateway.lines(producer).values())
    assert SECRET not in json.dumps([json.loads(bytes(decision.args)) for decision in gateway.decisions()], ensure_ascii=False)
    assert b"sk-of-nobodys" not in lines
    assert PIN.encode() not in lines
    first, second = gateway.decisions()
    args = json.loads(bytes(first.args))
    assert args["header"].startswith("Bearer [vault_secret:")
    assert args["pin"].startswith("[vault_secret:")
    assert args["n"] == 1.5
    assert {(receipt.path, receipt.type, receipt.count) for receipt in first.redactions} >= {
        ("args.header", "vault_secret", 1),
        ("text", "vault_secret", 2),
        ("user_id", "vault_secret", 1),
    }
    assert second.action.startswith("call:[vault_secret:")


def test_a_text_that_was_clean_is_looked_at_again_when_secrets_come(url: str, gateway: InMemoryGateway, tmp_path: Path) -> None:
    plain = Client(api_key="cz_test_key", base_url=url, spool=tmp_path)
    plain.guard("http", "call", context={"user_id": PIN})
    with Client(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path):
        plain.guard("http", "call", context={"user_id": PIN})
    plain.close()
    before, after = [decision.user_id for decision in gateway.decisions()]
    assert before == PIN
    assert str(after).startswith("[vault_secret:")


def test_a_secret_of_a_few_letters_masks_no_ordinary_words() -> None:
    vault = Vault()
    vault.fill({"short": "abc"})
    receipts: list[Redaction] = []
    assert Masking(b"k" * 32, vault).text("the abc of it", "text", 100, receipts) == "the abc of it"
    assert receipts == []


def test_the_longest_of_secrets_within_one_another_is_masked() -> None:
    vault = Vault()
    vault.fill({"a": "inner-secret", "b": "an-inner-secret-with-more"})
    assert vault.find(b"x an-inner-secret-with-more y inner-secret") == [
        (2, 27, "an-inner-secret-with-more"),
        (30, 42, "inner-secret"),
    ]


def shown_by(error: BaseException) -> str:
    return "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())


def test_no_repr_traceback_pickle_or_copy_shows_a_secret(cz: ControlZero) -> None:
    vault = cz.governance._connection.vault
    shown = [
        repr(cz),
        repr(cz.governance),
        repr(vault),
        repr(cz.governance._connection),
        repr(cz.governance._connection.session(needs_secrets=True)),
    ]
    shown += [repr(cz.guard("http", "call", args={"key": SECRET}))]
    try:
        cz.get_secret("nothing")
    except Rejected as error:
        shown.append(shown_by(error))
    for attempt in (pickle.dumps, copy.copy, copy.deepcopy):
        with pytest.raises(TypeError, match="neither pickled nor copied"):
            attempt(vault)
    with pytest.raises(TypeError):
        pickle.dumps(cz)
    assert len(shown) == 7
    assert [text for text in shown if SECRET[:12] in text or PIN in text] == []


def test_no_decision_shows_a_secret_that_was_in_the_call(cz: ControlZero) -> None:
    shown = []
    for decision in (
        cz.guard("http", "call", args={"key": SECRET}),
        cz.guard(f"http/{SECRET}", "call"),
        cz.enforce(f"http.{SECRET}", resource=f"host/{PIN}"),
    ):
        shown += [repr(decision), decision.action, str(decision.resource), decision.reason]
    with pytest.raises(controlzero.PolicyDeniedError) as denied:
        cz.enforce(f"http/../{SECRET}.call")
    shown += [*traceback.format_exception(denied.value), str(denied.value.decision.resource)]
    assert [text for text in shown if SECRET[:8] in text or SECRET[:8].lower() in text or PIN in text] == []
    assert cz.guard("http", "call", args={"key": SECRET}).resource.startswith("key/[vault_secret:")  # type: ignore[union-attr]


class Garbled(InMemoryGateway):
    """A gateway whose session is of another shape."""

    def handle_request(self, request: Any) -> Any:
        answer = super().handle_request(request)
        if request.url.path == "/v1/session":
            answer._content = answer.content.replace(b'"project_id"', b'"projects"')
        return answer


def test_a_session_that_cannot_be_read_is_told_without_its_content(tmp_path: Path) -> None:
    gateway = Garbled(policy={"rules": []})
    gateway.put_session(secrets=SECRETS)
    with pytest.raises(Unavailable, match="not what this SDK reads") as raised:
        Client(api_key="cz_test_key", base_url="http://gateway", transport=gateway, secrets_enabled=True, spool=tmp_path)
    shown = shown_by(raised.value)
    assert "_request" not in shown
    assert SECRET[:12] not in shown


def test_no_log_line_of_any_library_holds_a_secret_or_a_key_of_ours(url: str, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG), Client(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path) as cz:
        httpx.get(f"{url}/v1/bundle", headers={"Authorization": "Bearer cz_test_key"}, trust_env=False)  # the host's own is heard
        cz.guard("http", "call", args={"key": cz.get_secret("openai")})
        cz.flush()
    assert caplog.text.lower().count("cz-project-key") == 1
    assert "sk-of-nobodys" not in caplog.text
    assert PIN not in caplog.text


def test_no_secret_reaches_the_disk(cz: ControlZero, tmp_path: Path) -> None:
    cz.guard("http", "call", args={"key": SECRET, "pin": PIN})
    cz.close()
    on_disk = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert b"sk-of-nobodys" not in on_disk
    assert PIN.encode() not in on_disk


def test_asyncio_has_secrets_too(url: str, tmp_path: Path) -> None:
    async def main() -> str:
        async with controlzero.AsyncControlZero(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path) as cz:
            return cz.get_secret("pin")

    assert asyncio.run(main()) == PIN
    closed = AsyncClient(api_key="cz_test_key", base_url=url, secrets_enabled=True, spool=tmp_path)
    with pytest.raises(RuntimeError, match="not open"):
        closed.get_secret("pin")
