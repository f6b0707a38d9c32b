"""docker-compose.yml and the image it builds: valid, without a secret, closed to other machines, and all of the product."""

import json
import re
import tomllib
from pathlib import Path

import jsonschema
import pytest

from docs.generate.environment import STAGES, settings_of
from tests import compose_file
from tests.compose_file import REPOSITORY

SCHEMA = REPOSITORY / "tests" / "schemas" / "compose-spec.json"
USUAL = {"AWS_ENDPOINT_URL", "AWS_ALLOW_HTTP", "AWS_REGION", "PGPASSFILE"}  # read by the clients of Postgres and of S3
CHANGING = {"control", "gateway", "dashboards", "demo", "watch"}  # the watch throws orders
ONCE = {"secrets", "topics"}
DOCKERFILE = (REPOSITORY / "Dockerfile").read_text(encoding="utf-8")


def test_it_is_what_the_compose_specification_says() -> None:
    schema = json.loads(SCHEMA.read_text(encoding="utf-8"))
    problems = [f"{error.json_path}: {error.message}" for error in jsonschema.Draft202012Validator(schema).iter_errors(compose_file.read())]
    assert problems == []


def test_it_is_the_whole_product_with_two_workers() -> None:
    services = compose_file.services()
    assert set(services) == ONCE | CHANGING | {"kafka", "postgres", "store", "worker", "keeper"}
    assert services["worker"]["deploy"]["replicas"] == 2


def test_no_secret_is_in_it() -> None:
    text = compose_file.PATH.read_text(encoding="utf-8")
    assert re.findall(r"://[^/\s:]+:[^/\s@]+@", text) == []
    named = [(key, value) for service in compose_file.services().values() for key, value in service.get("environment", {}).items()]
    secret = [key for key, _ in named if re.search(r"PASSWORD|SECRET|ACCESS_KEY|TOKEN|API_KEY", key) and not key.endswith("_FILE")]
    assert (secret, bool(named)) == ([], True)


def test_what_is_open_is_open_to_this_machine_alone() -> None:
    ports = [port for service in compose_file.services().values() for port in service.get("ports", [])]
    assert len(ports) == 3
    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert [name for name, service in compose_file.services().items() if service.get("network_mode") or service.get("privileged")] == []


def test_every_service_that_stays_says_whether_it_is_well() -> None:
    staying = {name for name in compose_file.services() if name not in ONCE | {"demo"}}
    assert {name for name, service in compose_file.services().items() if "healthcheck" in service} == staying


def test_the_database_s_password_is_only_where_something_is_changed() -> None:
    holding = {
        name for name, one in compose_file.services().items() if any(v.startswith("database-secret:") for v in one.get("volumes", []))
    }
    assert holding == CHANGING | {"secrets", "postgres"}


def test_what_is_kept_is_in_named_volumes() -> None:
    declared = set(compose_file.read()["volumes"])
    mounted = {volume.partition(":")[0] for service in compose_file.services().values() for volume in service.get("volumes", [])}
    assert mounted == declared
    for name, folder in {"kafka": "/var/lib/kafka/data", "postgres": "/var/lib/postgresql/data", "store": "/data"}.items():
        assert any(volume.endswith(f":{folder}") for volume in compose_file.services()[name]["volumes"])


def test_what_is_waited_for_is_there_and_can_be_waited_for() -> None:
    services = compose_file.services()
    for service in services.values():
        for name, wanted in service.get("depends_on", {}).items():
            assert ("healthcheck" in services[name]) is (wanted["condition"] == "service_healthy")
            assert (name in ONCE) is (wanted["condition"] == "service_completed_successfully")


def test_every_variable_of_ours_is_a_setting() -> None:
    known = {setting.name for stage in STAGES for setting in settings_of(stage)} | USUAL
    for name, service in compose_file.ours().items():
        assert set(service.get("environment", {})) - known == set(), name


def test_only_who_changes_things_is_led_to_the_database() -> None:
    led = {name for name, service in compose_file.ours().items() if "CZ_DATABASE_URL" in service.get("environment", {})}
    assert led == CHANGING


@pytest.mark.parametrize("name", sorted(compose_file.ours()))
def test_a_process_has_no_more_rights_than_it_needs(name: str) -> None:
    service = compose_file.ours()[name]
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]


def test_the_image_is_built_in_stages_and_runs_as_nobody_who_may_do_harm() -> None:
    first, _, last = DOCKERFILE.rpartition("\nFROM ")
    assert "AS build" in first
    assert "COPY --from=build /opt/controlzero" in last
    assert re.findall(r"^USER (\S+)$", last, re.M) == ["10001:10001"]
    assert "pip install" not in last
    assert "--constraint requirements.lock" in first


def test_the_image_has_a_python_that_the_product_runs_on() -> None:
    (version,) = re.findall(r"^ARG PYTHON=3\.(\d+)$", DOCKERFILE, re.M)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert f"Programming Language :: Python :: 3.{version}" in project["classifiers"]


def test_all_that_the_wheel_is_built_from_is_sent_to_the_builder_and_nothing_else() -> None:
    lines = (REPOSITORY / ".dockerignore").read_text(encoding="utf-8").splitlines()
    sent = {line[1:] for line in lines if line.startswith("!")}
    build = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["tool"]["hatch"]["build"]["targets"]
    beside = {"pyproject.toml", "requirements.lock", "README.md", "LICENSE", "CHANGELOG.md"}
    assert "*" in lines
    assert sent == set(build["wheel"]["packages"]) | beside
    assert all((REPOSITORY / name).exists() for name in sent)


def test_every_folder_of_a_volume_belongs_to_the_user_of_the_image() -> None:
    made = set(re.findall(r" (/\S+)", " ".join(re.findall(r"install -d -o 10001 -g 10001 .*", DOCKERFILE))))
    wanted = {volume.split(":")[1] for service in compose_file.ours().values() for volume in service["volumes"]}
    assert wanted <= made


def test_no_two_readers_of_the_schemas_forget_whose_they_are() -> None:
    told = (SCHEMA.parent / "README.md").read_text(encoding="utf-8")
    assert {path.name for path in Path(SCHEMA.parent).glob("*.json")} == set(re.findall(r"^\| `(\S+)`", told, re.M))
