"""The control plane's interface over HTTP, at the gateway's address: who reaches what, and what is asked twice."""

import base64
import itertools
import json
import re
import socket
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlsplit

import httpx
import pytest

from controlplane.api.app import problem_rows
from controlplane.api.bounds import ANSWERED_AT_ONCE
from ingest.problems import KINDS
from tests.control_api import BODIES, EVERY_SCOPE, Tenant, holdings, plane_over, tenant
from tests.gateways import NDJSON, RunningGateway, lines, running_gateway, wait_until_ready
from tests.postgres_server import Server, running
from tests.waiting import until

QUERIES = ({}, {"project_id": "{projects}"})
OPEN = {"/healthz", "/readyz", "/metrics"}


@dataclass(frozen=True)
class Served:
    """A gateway with the control plane beside it, two tenants, and, where it matters, another project of the first one's organisation."""

    gateway: RunningGateway
    mine: Tenant
    theirs: Tenant
    beside: Tenant | None = None

    def ask(self, method: str, path: str, *, key: str | None = None, body: Any = None, **headers: str) -> httpx.Response:
        authorization = {"Authorization": f"Bearer {key or self.mine.secret}"}
        with self.gateway.client() as client:
            return client.request(
                method, path, json=body, headers={**authorization, **{name.replace("_", "-"): headers[name] for name in headers}}
            )

    def routes(self) -> list[tuple[str, str]]:
        paths = self.gateway.get("/openapi.json").json()["paths"]
        return [(method, path) for path, methods in paths.items() for method in methods if path not in OPEN]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    home = tmp_path_factory.mktemp("home")
    with plane_over(home) as plane:
        mine, theirs = tenant(plane, "mine"), tenant(plane, "their")
        beside = tenant(plane, "other", beside=mine)
    with running_gateway(home, module="cz.serve") as gateway:
        wait_until_ready(gateway)
        yield Served(gateway, mine, theirs, beside)


def kind_of(path: str, name: str) -> str:
    """Return the segment before a path's parameter: what kind of id it is."""
    found = re.search(r"/(\w+)/\{" + name + r"\}", path)
    assert found is not None, path
    return found[1]


def parameters(path: str) -> list[str]:
    return re.findall(r"\{(\w+)\}", path)


def filled(template: Any, ids: Mapping[str, str]) -> Any:
    """Return a body or query with `{kind}` replaced by that id."""
    text = re.sub(r"\{(\w+)\}(?=\")", lambda found: ids[found[1]], json.dumps(template))
    return json.loads(text)


def requests_of(path: str, mine: Tenant, theirs: Tenant) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield the path filled with every mixture of their ids and mine, and the ids that its body and query are filled with."""
    names = parameters(path)
    for owners in itertools.product((mine, theirs), repeat=len(names)):
        url = path
        for name, owner in zip(names, owners, strict=True):
            url = url.replace("{" + name + "}", quote(owner.ids[kind_of(path, name)], safe=""))
        for inner in (mine, theirs):
            if theirs in (*owners, inner):
                yield url, dict(inner.ids)


def test_gateway_and_control_plane_are_one_reference(served: Served) -> None:
    described = served.gateway.get("/openapi.json").json()
    assert {"/v1/decisions", "/v1/bundle", "/v1/session", "/v1/projects/{project_id}/policy"} <= described["paths"].keys()
    assert {"Decision", "Project", "PolicyVersion", "Session", "Problem"} <= described["components"]["schemas"].keys()
    named = re.findall(r'"#/components/schemas/(\w+)"', json.dumps(described))
    assert set(named) <= described["components"]["schemas"].keys()
    page = served.gateway.get("/docs").text
    assert set(re.findall(r'id="([\w-]+)"', page)) >= {slug for _, slug, _, _ in problem_rows()} | KINDS.keys()
    for status, slug, _, _ in problem_rows():  # one name means one thing, whoever says it
        assert slug not in KINDS or KINDS[slug].status == status


def test_the_reference_says_what_a_change_takes(served: Served) -> None:
    described = served.gateway.get("/openapi.json").json()["paths"]
    for method, path in served.routes():
        named = {parameter["name"] for parameter in described[path][method].get("parameters", ())}
        changes = described[path][method].get("x-scope", "").endswith(":write")
        assert ("Idempotency-Key" in named) is changes, (method, path)
    page = served.gateway.get("/docs").text
    rotation = page.partition("/keys/{key_id}/rotate</code>")[2].partition("<h2>")[0]
    assert "<td><code>grace_s</code></td><td>body</td><td>a whole number" in rotation
    mode = page.partition("/v1/projects/{project_id}/mode</code>")[2].partition("<h2>")[0]
    assert "<code>mode</code></td><td>body, needed</td><td><code>enforce</code> | <code>log-only</code> | <code>off</code>" in mode


def test_what_is_refused_names_what_would_be_taken(served: Served) -> None:
    project = f"/v1/projects/{served.mine.project}"
    refused = served.ask("delete", project)
    assert (refused.status_code, refused.headers["allow"]) == (405, "GET, PATCH")
    with served.gateway.client() as client:
        headers = {"Authorization": f"Bearer {served.mine.secret}", "Content-Type": "application/json"}
        cut = client.put(f"{project}/mode", content='{"mode": ', headers=headers).json()["detail"]
    assert cut == "the body is not JSON: Expecting value at character 9. Correct what the detail names."
    setting = served.ask("patch", project, body={"settings": {"on_stale": "deni"}}).json()["detail"]
    assert "at `$.on_stale`; expected some of `name`, `on_stale` (deny or keep), " in setting
    missing = served.ask("delete", f"{project}/tools/none").json()["detail"]
    assert missing.endswith("there are: mine-tool. The routes are listed at /docs.")


def test_every_path_has_ids_that_the_tests_know(served: Served) -> None:
    for method, path in served.routes():
        for name in parameters(path):
            assert kind_of(path, name) in served.mine.ids, (method, path, name)


def test_every_route_with_a_body_has_one_in_the_tests(served: Served) -> None:
    described = served.gateway.get("/openapi.json").json()["paths"]
    with_body = {(method, path) for path, methods in described.items() for method, route in methods.items() if "requestBody" in route}
    assert with_body - {("post", "/v1/decisions")} == BODIES.keys()


@pytest.mark.parametrize("whose", ["theirs", "beside"])
def test_no_route_reads_or_changes_anything_of_another_project_whatever_id_it_is_given(served: Served, whose: str) -> None:
    theirs = served.beside if whose == "beside" else served.theirs
    assert theirs is not None
    with plane_over(served.gateway.home) as plane:
        before = holdings(plane, theirs)
    asked = 0
    for method, path in served.routes():
        if whose == "beside" and "/members" in path:
            continue  # members are their organisation's
        for url, ids in requests_of(path, served.mine, theirs):
            for query in QUERIES:
                body = None if (method, path) == ("post", "/v1/decisions") else filled(BODIES.get((method, path)), ids)
                given = filled(query, ids)
                answer = served.ask(method, str(httpx.URL(url, params=given)), body=body)
                said = url + json.dumps(body) + json.dumps(given)
                assert answer.status_code < 500, (method, url, answer.text)
                read = [word for word in theirs.words if word in answer.text and word not in said]
                assert read == [], (method, url, body, given, answer.text)
                asked += 1
    with plane_over(served.gateway.home) as plane:
        assert holdings(plane, theirs) == before
    assert asked > 150


def test_a_route_of_their_project_is_refused_before_anything_is_looked_at(served: Served) -> None:
    for method, path in served.routes():
        if "project_id" in parameters(path):
            there, nowhere = (
                served.ask(method, _filled_path(path, {**served.mine.ids, "projects": project}), body=_body_of(method, path, served.mine))
                for project in (served.theirs.project, "no-such-project")
            )
            assert (there.status_code, there.json()) == (nowhere.status_code, nowhere.json())  # nor is there a way to tell that it is there
            assert there.status_code == 403, (method, path, there.text)
            assert there.json()["type"] == "/docs#project-not-granted"


def test_a_key_does_nothing_beyond_its_scopes(served: Served) -> None:
    with plane_over(served.gateway.home) as plane:
        weak = {
            scope: plane.create_key([served.mine.project], actor="ada", scopes=[one for one in EVERY_SCOPE if one != scope])[0]
            for scope in EVERY_SCOPE
        }
        before = holdings(plane, served.theirs)
    refusing: dict[str, int] = dict.fromkeys(EVERY_SCOPE, 0)
    for method, path in served.routes():
        if path.startswith("/v1/") and path != "/v1/decisions":
            for scope, key in weak.items():
                answer = served.ask(
                    method, _filled_path(path, dict.fromkeys(served.mine.ids, "x" * 12) | {"projects": served.mine.project}), key=key
                )
                assert answer.status_code < 500
                if answer.headers["content-type"] == "application/problem+json" and answer.json()["type"] == "/docs#scope-missing":
                    assert f"`{scope}`" in answer.json()["detail"]
                    refusing[scope] += 1
    assert refusing.pop("decisions:write") == refusing.pop("secrets:read") == 0  # the gateway's own; read along with the session
    assert all(refusing.values()), refusing
    with plane_over(served.gateway.home) as plane:
        assert holdings(plane, served.theirs) == before


def test_the_gateway_takes_no_decisions_beyond_a_keys_scopes(served: Served) -> None:
    with plane_over(served.gateway.home) as plane:
        reader, _ = plane.create_key([served.mine.project], actor="ada", scopes=["control:read"])
        sender, _ = plane.create_key([served.mine.project], actor="ada", scopes=["decisions:write"])
    with served.gateway.client() as client:
        told = [
            client.post("/v1/decisions", content=lines(1), headers={"Authorization": f"Bearer {key}", "Content-Type": NDJSON})
            for key in (reader, sender)
        ]
        bundle = client.get("/v1/bundle", headers={"Authorization": f"Bearer {sender}"})
    assert [answer.status_code for answer in told] == [403, 202]
    assert (bundle.status_code, bundle.json()["type"]) == (403, "/docs#scope-missing")


def test_no_answer_holds_the_whole_of_a_webhook_and_one_given_back_as_shown_stays(served: Served) -> None:
    project = f"/v1/projects/{served.mine.project}"
    settings = {"webhook_url": "https://hooks.example.org/services/hidden-path"}
    told = [served.ask("patch", project, body={"settings": settings}), served.ask("get", project)]
    again = served.ask("patch", project, body={"settings": {"webhook_url": told[1].json()["webhook_url"], "on_stale": "deny"}})
    listed, logged = served.ask("get", "/v1/projects"), served.ask("get", f"{project}/log")
    assert [answer.json()["webhook_url"] for answer in (*told, again)] == ["https://hooks.example.org/…"] * 3
    assert all("hidden-path" not in answer.text for answer in (*told, again, listed, logged))
    assert logged.json()["items"][0]["subject"] == "on_stale"


def _filled_path(path: str, ids: Mapping[str, str]) -> str:
    for name in parameters(path):
        path = path.replace("{" + name + "}", quote(ids[kind_of(path, name)], safe=""))
    return path


def _body_of(method: str, path: str, of: Tenant) -> Any:
    return filled(BODIES.get((method, path)), of.ids)


@pytest.fixture
def fresh(tmp_path: Path) -> Iterator[Served]:
    """A gateway of its own, for what would show in another test."""
    with plane_over(tmp_path) as plane:
        mine, theirs = tenant(plane, "mine"), tenant(plane, "their")
    with running_gateway(tmp_path, module="cz.serve") as gateway:
        wait_until_ready(gateway)
        yield Served(gateway, mine, theirs)


def test_a_change_asked_for_many_times_at_once_is_made_once_and_answered_alike(fresh: Served) -> None:
    path = f"/v1/projects/{fresh.mine.project}/keys"
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: fresh.ask("post", path, body={"name": "once"}, Idempotency_Key="k-1"), range(24)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.json()["secret"] for answer in answers}) == 1
    assert [answer.headers.get("idempotency-replayed") for answer in answers].count(None) == 1
    with plane_over(fresh.gateway.home) as plane:
        assert [key.name for key in plane.list_keys(fresh.mine.project)].count("once") == 1
        assert sum(entry.action == "key.created" for entry in plane.control_log(fresh.mine.project)) == 3
    secret = answers[0].json()["secret"]
    for file in fresh.gateway.home.rglob("*"):  # it was kept for the next to ask, and whoever has the files has no key
        assert file.is_dir() or (secret.encode() not in file.read_bytes() and fresh.mine.secret.encode() not in file.read_bytes()), file
    other = fresh.ask("post", path, body={"name": "another"}, Idempotency_Key="k-1")
    assert (other.status_code, other.json()["type"]) == (422, "/docs#idempotency-key-reused")
    theirs = fresh.ask(
        "post", f"/v1/projects/{fresh.theirs.project}/keys", key=fresh.theirs.secret, body={"name": "once"}, Idempotency_Key="k-1"
    )
    assert (theirs.status_code, theirs.json()["key"]["projects"]) == (201, [fresh.theirs.project])


def test_a_change_that_is_refused_may_be_asked_for_again(fresh: Served) -> None:
    path = f"/v1/projects/{fresh.mine.project}/policy/rules/soon/mode"
    assert fresh.ask("put", path, body={"mode": "log-only"}, Idempotency_Key="k").status_code == 404
    policy = {"name": "p", "rules": [{"id": "soon", "effect": "deny", "action": "x"}]}
    assert fresh.ask("put", f"/v1/projects/{fresh.mine.project}/policy", body={"policies": [policy]}).status_code == 200
    assert fresh.ask("put", path, body={"mode": "log-only"}, Idempotency_Key="k").json()["changed"] is True
    project = fresh.ask("post", "/v1/projects", body={"project_id": "mine-second"}, Idempotency_Key="k2")
    assert (project.status_code, fresh.ask("get", "/v1/projects/mine-second").status_code) == (201, 200)


def test_a_revoked_key_is_refused_at_once_and_a_rotated_one_after_its_grace(fresh: Served) -> None:
    keys = f"/v1/projects/{fresh.mine.project}/keys"
    made = fresh.ask("post", keys, body={"scopes": ["control:read"]}).json()
    assert fresh.ask("get", keys, key=made["secret"]).status_code == 200
    rotated = fresh.ask("post", f"{keys}/{made['key']['key_id']}/rotate", body={"grace_s": 600}).json()
    assert [fresh.ask("get", keys, key=key).status_code for key in (made["secret"], rotated["secret"])] == [200, 200]
    again = fresh.ask("post", f"{keys}/{made['key']['key_id']}/rotate")
    assert (again.status_code, rotated["key"]["key_id"] in again.text) == (422, True)
    assert fresh.ask("delete", f"{keys}/{made['key']['key_id']}").status_code == 200
    revoked = fresh.ask("get", keys, key=made["secret"])
    assert (revoked.status_code, revoked.json()["type"]) == (401, "/docs#revoked-key")
    ended = fresh.ask("post", f"{keys}/{rotated['key']['key_id']}/rotate", body={"grace_s": 0}).json()
    expired = fresh.ask("get", keys, key=rotated["secret"])
    assert (expired.status_code, expired.json()["type"]) == (401, "/docs#expired-key")
    assert fresh.ask("get", keys, key=ended["secret"]).status_code == 200


def test_nobody_makes_or_takes_over_a_key_that_can_do_more_than_their_own(fresh: Served) -> None:
    keys = f"/v1/projects/{fresh.mine.project}/keys"
    admin = ["control:read", "control:write", "keys:write"]
    weak = fresh.ask("post", keys, body={"scopes": admin, "environment": "mine-environment", "member": "mine-member"}).json()["secret"]
    strong = fresh.ask("post", keys, body={"scopes": [*EVERY_SCOPE]}).json()["key"]["key_id"]
    of_member = fresh.ask("post", keys, body={"scopes": ["control:read"], "member": "mine-viewer"}).json()["key"]["key_id"]
    refused = [
        fresh.ask("post", keys, key=weak, body={"scopes": ["secrets:read"]}),
        fresh.ask("post", keys, key=weak, body={"scopes": ["control:read"], "member": "mine-viewer"}),
        fresh.ask("post", keys, key=weak, body={"scopes": ["control:read"], "projects": [fresh.theirs.project]}),
        fresh.ask("post", f"{keys}/{strong}/rotate", key=weak),
        fresh.ask("post", f"{keys}/{of_member}/rotate", key=weak),
        fresh.ask("post", keys, body={"scopes": ["control:write"], "member": "mine-viewer"}),
    ]
    assert [answer.status_code for answer in refused] == [403, 403, 403, 403, 403, 422]
    allowed = fresh.ask("post", keys, key=weak, body={"scopes": ["control:read"]}).json()["key"]
    assert (allowed["member"], allowed["environment"], allowed["scopes"]) == ("mine-member", "mine-environment", ["control:read"])


def test_of_a_key_that_grants_more_projects_only_those_shared_are_told(fresh: Served) -> None:
    with plane_over(fresh.gateway.home) as plane:
        plane.create_project("mine-hidden", actor="ada", organisation_id="mine-org")
        _, shared = plane.create_key([fresh.mine.project, "mine-hidden"], actor="ada")
    keys = f"/v1/projects/{fresh.mine.project}/keys"
    listed = fresh.ask("get", keys)
    assert {key["key_id"]: key["projects"] for key in listed.json()["items"]}[shared.key_id] == [fresh.mine.project]
    for told in (listed, fresh.ask("delete", f"{keys}/{shared.key_id}"), fresh.ask("post", f"{keys}/{shared.key_id}/rotate")):
        assert "mine-hidden" not in told.text
        assert told.status_code == (200 if told is listed else 403)
    assert "mine-hidden" not in fresh.ask("get", f"/v1/projects/{fresh.mine.project}/log").text


def test_a_members_role_bounds_the_keys_of_that_member_from_now_on(fresh: Served) -> None:
    keys, mode = f"/v1/projects/{fresh.mine.project}/keys", f"/v1/projects/{fresh.mine.project}/mode"
    fresh.ask("put", "/v1/members/bob", body={"role": "editor"})
    bobs = fresh.ask("post", keys, body={"scopes": ["control:read", "control:write", "decisions:write"], "member": "bob"}).json()["secret"]
    with fresh.gateway.client() as client:

        def deliver() -> httpx.Response:
            return client.post("/v1/decisions", content=lines(1), headers={"Authorization": f"Bearer {bobs}", "Content-Type": NDJSON})

        assert (fresh.ask("put", mode, key=bobs, body={"mode": "enforce"}).status_code, deliver().status_code) == (200, 202)
        fresh.ask("put", "/v1/members/bob", body={"role": "viewer"})
        assert fresh.ask("put", mode, key=bobs, body={"mode": "off"}).status_code == 403
        assert fresh.ask("get", keys, key=bobs).status_code == 200
        until(lambda: deliver().status_code == 403)
        fresh.ask("delete", "/v1/members/bob?why=left")
        assert fresh.ask("get", keys, key=bobs).status_code == 401
        until(lambda: deliver().status_code == 401)
    assert fresh.ask("put", "/v1/members/mine-member", body={"role": "viewer"}).status_code == 422  # the last owner


def test_pages_hold_each_thing_once_and_end(fresh: Served) -> None:
    tools = f"/v1/projects/{fresh.mine.project}/tools"
    for number in range(7):
        body = {"tool": {"kind": "http", "url": f"https://example.org/{number}"}}
        assert fresh.ask("put", f"{tools}/t{number}", body=body).status_code == 200
    for path, name in (
        (tools, "name"),
        (f"/v1/projects/{fresh.mine.project}/log", "entry_id"),
        (f"/v1/projects/{fresh.mine.project}/policy/versions", "version"),
    ):
        whole = [item[name] for item in fresh.ask("get", f"{path}?limit=200").json()["items"]]
        paged, cursor = [], ""
        while cursor is not None:
            page = fresh.ask("get", f"{path}?limit=2{cursor and f'&cursor={quote(cursor)}'}").json()
            paged += [item[name] for item in page["items"]]
            cursor = page["next_cursor"]
        assert paged == whole
        assert len(set(whole)) == len(whole) >= 2
    for wrong in ("x", "WzFd", "e30=", "%00"):
        assert fresh.ask("get", f"{tools}?cursor={wrong}").status_code in (200, 422)
    assert fresh.ask("get", f"{tools}?limit=201").status_code == 422


def test_what_is_too_large_or_tried_too_often_is_refused(fresh: Served) -> None:
    policy = f"/v1/projects/{fresh.mine.project}/policy"
    assert fresh.ask("get", policy).status_code == 200
    large = fresh.ask("put", policy, body={"policies": ["#" * 3_000_000]})
    assert (large.status_code, large.json()["type"]) == (413, "/docs#body-too-large")
    deep = "[" * 100_000 + "]" * 100_000
    with fresh.gateway.client() as client:
        headers = {"Authorization": f"Bearer {fresh.mine.secret}", "Content-Type": "application/json"}
        told = client.put(policy, content=f'{{"policies": {deep}}}', headers=headers)
        assert (told.status_code, told.headers["content-type"]) == (422, "application/problem+json")
    guesses = [fresh.ask("get", policy, key=f"cz_live_{number:032}") for number in range(31)]
    assert [answer.status_code for answer in guesses] == [401] * 30 + [429]
    assert int(guesses[-1].headers["retry-after"]) > 0
    with plane_over(fresh.gateway.home) as plane:
        unused, _ = plane.create_key([fresh.mine.project], actor="ada", scopes=EVERY_SCOPE)
    for key in (fresh.mine.secret, unused):
        assert fresh.ask("get", policy, key=key).status_code == 200  # nobody with a key is kept out by who guesses beside them


def test_what_no_database_holds_is_refused_and_breaks_nothing(fresh: Served) -> None:
    project = f"/v1/projects/{fresh.mine.project}"
    with fresh.gateway.client() as client:
        headers = {"Authorization": f"Bearer {fresh.mine.secret}", "Content-Type": "application/json"}
        for method, path, body in (
            ("PUT", f"{project}/tools/t", r'{"tool": {"kind": "http", "url": "https://example.org/\ud800"}}'),
            ("PUT", f"{project}/tools/t", r'{"tool": {"\uDFFF": 1}}'),
            ("PATCH", project, r'{"settings": {"retention_days": {"\ud800": 1}}}'),
            ("POST", "/v1/policies/check", r'{"policies": ["\ud800x"]}'),
            ("POST", "/v1/policies/check", r'{"policies": [{"\udc00\ud800": 1}]}'),
        ):
            told = client.request(method, path, content=body, headers=headers)
            assert (told.status_code, "surrogate" in told.json()["detail"]) == (422, True), (path, body, told.text)
        whole = client.put(f"{project}/environments/e", content=r'{"why": "\ud83d\ude00 and \\ud800"}', headers=headers)
        assert whole.status_code == 200
        for place in (-1, 2**63, 2**64, 10**30):
            cursor = base64.urlsafe_b64encode(str(place).encode()).decode()
            for listed in ("log", "policy/versions"):
                assert client.get(f"{project}/{listed}?cursor={cursor}", headers=headers).status_code == 422
    with plane_over(fresh.gateway.home) as plane:
        assert plane.control_log(fresh.mine.project, limit=1)[0].why == "\U0001f600 and \\ud800"


def test_a_body_is_taken_in_from_nobody_without_a_key(fresh: Served) -> None:
    """What is held is bounded for all together, so it must not be anybody's to use up."""
    host, port = urlsplit(fresh.gateway.url).hostname, urlsplit(fresh.gateway.url).port
    for authorization, status in (("", b"401"), ("Authorization: Bearer cz_live_guessed\r\n", b"401")):
        for framing in ("Content-Length: 100", "Transfer-Encoding: chunked"):
            with socket.create_connection((host, port), timeout=10) as connection:
                connection.sendall(f"POST /v1/policies/check HTTP/1.1\r\nHost: x\r\n{authorization}{framing}\r\n\r\n".encode())
                answer = connection.recv(4_096)
                assert answer.split(b" ")[1] == status
                assert b"connection: close" in answer.lower()


def test_clients_that_do_not_read_what_they_ask_for_hold_up_nobody(fresh: Served) -> None:
    path = f"/v1/projects/{fresh.mine.project}/policy"
    rules = [{"id": f"r{number}", "effect": "deny", "action": "x:*", "reason": "x" * 450} for number in range(3_000)]
    assert fresh.ask("put", path, body={"policies": [{"name": "large", "rules": rules}]}).status_code == 200
    address = urlsplit(fresh.gateway.url)
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {fresh.mine.secret}\r\n\r\n".encode()
    asked = 10  # answers of more than a megabyte on each connection: beyond what one takes unread
    with ExitStack() as connections:
        for _ in range(ANSWERED_AT_ONCE):
            connection = connections.enter_context(socket.socket())
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            connection.connect((address.hostname, address.port))
            connection.sendall(request * asked)
        for _ in range(2 * asked):  # who asks takes turns with these: after so many, each of them waits to be read
            assert fresh.ask("get", f"/v1/projects/{fresh.mine.project}").status_code == 200


@pytest.mark.needs("postgres")
def test_decisions_are_taken_while_the_database_is_away_and_the_interface_comes_back_with_it(
    tmp_path: Path, own_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = own_server.database()
    monkeypatch.setenv("CZ_DATABASE_URL", url)
    with plane_over(tmp_path) as plane:
        mine = tenant(plane, "mine")
    own_server.end()
    with running_gateway(tmp_path, module="cz.serve", CZ_DATABASE_URL=url) as gateway:
        wait_until_ready(gateway)
        served = Served(gateway, mine, mine)
        away = served.ask("get", f"/v1/projects/{mine.project}")
        assert (away.status_code, away.json()["type"], int(away.headers["retry-after"]) > 0) == (503, "/docs#control-unavailable", True)
        assert own_server.password not in away.text
        with gateway.client() as client:
            headers = {"Authorization": f"Bearer {mine.secret}", "Content-Type": NDJSON}
            assert client.post("/v1/decisions", content=lines(3), headers=headers).status_code == 202
            assert client.get("/v1/bundle", headers=headers).status_code == 200
        own_server.start()
        until(lambda: served.ask("get", f"/v1/projects/{mine.project}").status_code == 200)
        own_server.end()
        assert served.ask("get", "/v1/session").status_code == 503
        with gateway.client() as client:
            assert client.post("/v1/decisions", content=lines(3, first=3), headers=headers).status_code == 202
        own_server.start()
        until(lambda: served.ask("get", "/v1/session").status_code == 200)


@pytest.fixture
def own_server() -> Iterator[Server]:
    """A server that the test may end."""
    with running() as server:
        yield server


def test_who_may_not_read_secrets_sends_none_anywhere_by_a_tool(fresh: Served) -> None:
    editor = fresh.ask("post", f"/v1/projects/{fresh.mine.project}/keys", body={"scopes": ["control:read", "control:write"]}).json()[
        "secret"
    ]
    path = f"/v1/projects/{fresh.mine.project}/tools/outward"
    tool = {"kind": "http", "url": "https://elsewhere.example/take", "headers": {"X": "${secret:openai}"}}
    refused = fresh.ask("put", path, key=editor, body={"tool": tool})
    assert (refused.status_code, refused.json()["type"]) == (403, "/docs#scope-missing")
    assert "`secrets:read`" in refused.json()["detail"]
    assert fresh.ask("put", path, key=editor, body={"tool": {**tool, "headers": {}}}).status_code == 200
    assert fresh.ask("put", path, body={"tool": tool}).status_code == 200
