import subprocess
import sys
from pathlib import Path

from tests.architecture.test_repository import MODULES

HEAVY = {"pyarrow", "duckdb", "deltalake", "faust", "streamlit", "fastapi", "sqlalchemy", "pydantic", "pandas", "numpy"}
REPOSITORY = Path(__file__).parents[2]
MODULES_IMPORTED = sorted(
    ".".join(path.relative_to(REPOSITORY).with_suffix("").parts).removesuffix(".__init__")
    for path in MODULES
    if path.stem != "__main__" and "migrations" not in path.parts
)


def run_python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    return done.stdout.strip()


def test_importing_the_sdk_loads_nothing_heavy() -> None:
    loaded = set(run_python("import sys, controlzero; print(*{name.partition('.')[0] for name in sys.modules})").split())
    assert "controlzero" in loaded
    assert loaded & HEAVY == set()


def test_a_client_loads_what_delivers_only_when_it_delivers() -> None:
    loaded = set(run_python("import sys, controlzero.client; print(*{name.partition('.')[0] for name in sys.modules})").split())
    assert loaded & {"httpx", "zstandard", "confluent_kafka", "cryptography"} == set()


def test_the_hosted_sdks_names_load_nothing_heavy_and_no_mcp() -> None:
    code = "import sys; from control_zero import *; print(*{name.partition('.')[0] for name in sys.modules})"
    loaded = set(run_python(code).split())
    assert "control_zero" in loaded
    assert loaded & {*HEAVY, "mcp", "httpx"} == set()


def test_what_serves_loads_nothing_that_reads_the_options_of_commands_or_the_ledger() -> None:
    loaded = set(run_python("import sys, cz.serve; print(*{name.partition('.')[0] for name in sys.modules})").split())
    assert {"fastapi", "sqlalchemy", "uvicorn"} <= loaded
    assert not {"cyclopts", "alembic", "pyarrow", "duckdb", "faust", "streamlit"} & loaded


def test_importing_the_sdk_opens_no_socket_and_no_file_to_write() -> None:
    code = """
import sys
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)) if event.startswith("socket.") or (event == "open" and args[1] and set(str(args[1])) & set("wax+")) else None)
import controlzero
print(*[event for event, _ in seen if event not in ("socket.gethostname",)])
"""
    assert run_python(code) == ""


def test_no_module_contacts_a_network_when_it_is_imported() -> None:
    code = f"""
import importlib, sys
seen = []
sys.addaudithook(lambda event, args: seen.append((event, args)) if event in ("socket.connect", "socket.getaddrinfo", "socket.sendto") else None)
modules = {MODULES_IMPORTED!r}
for module in modules:
    importlib.import_module(module)
print(len(modules), seen)
"""
    count, seen = run_python(code).splitlines()[-1].split(" ", 1)
    assert int(count) > 200
    assert seen == "[]"


def test_the_layers_hold() -> None:
    done = subprocess.run(
        [Path(sys.executable).with_name("lint-imports")], cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stdout
