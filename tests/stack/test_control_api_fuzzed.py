"""Requests that schemathesis makes up from the OpenAPI description: whatever is sent, no answer is a 5xx."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.control_api import plane_over, tenant
from tests.gateways import running_gateway, wait_until_ready

EXAMPLES = "10"  # of each route, beside those that cover its bounds; some 2,000 requests, the same ones however fast the machine is


@pytest.mark.parametrize("database", ["sqlite", pytest.param("postgres", marks=pytest.mark.needs("postgres"))])
def test_no_request_however_odd_is_answered_with_a_5xx(
    database: str, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = {"CZ_DATABASE_URL": request.getfixturevalue("postgres").database()} if database == "postgres" else {}
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with plane_over(tmp_path) as plane:
        mine = tenant(plane, "mine")
    ours = tmp_path / "schemathesis.toml"
    named = {"project_id": mine.project, "digest": mine.ids["candidates"], "key_id": mine.ids["keys"]}  # or it finds its own and revokes it
    ours.write_text("[parameters]\n" + "".join(f'{name} = "{value}"\n' for name, value in named.items()))
    with running_gateway(tmp_path, module="cz.serve", **settings) as gateway:
        wait_until_ready(gateway)
        assert gateway.get(f"/v1/projects/{mine.project}", Authorization=f"Bearer {mine.secret}").status_code == 200
        key = ("--header", f"Authorization: Bearer {mine.secret}")
        told = (
            "--checks",
            "not_a_server_error",
            "--phases",
            "examples,coverage,fuzzing",
            "--max-examples",
            EXAMPLES,
            "--seed",
            "1",
            "--no-shrink",
        )
        but = ("--exclude-path", "/v1/decisions")  # that one has millions of odd lines of its own
        command = [
            str(Path(sys.executable).with_name("st")),
            "--no-color",
            "--config-file",
            str(ours),
            "run",
            f"{gateway.url}/openapi.json",
        ]
        done = subprocess.run([*command, *key, *told, *but], cwd=tmp_path, capture_output=True, text=True, timeout=300, check=False)
        assert done.returncode == 0, done.stdout[-5_000:] + done.stderr[-2_000:]
        after = gateway.get(f"/v1/projects/{mine.project}", Authorization=f"Bearer {mine.secret}")
        assert after.status_code == 200, "the key ended itself on the way: what came after was refused at the door"
        counted = re.findall(r'cz_gateway_requests_total\{route="other",status="(\d+)"\} (\S+)', gateway.get("/metrics").text)
    answered = {int(status): float(count) for status, count in counted}
    assert max(answered) < 500, answered
    assert answered[200] + answered[201] > 200, answered  # and it got past the doors
