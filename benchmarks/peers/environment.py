"""The environment that the other drivers run in, made once: Quix Streams asks for an older pydantic than ours."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "bench-output" / "peers"
NEEDS = ("quixstreams>=3.20,<4", "bytewax>=0.21,<0.22")


def peer_python() -> Path:
    """Return the interpreter of that environment, made now where there is none. Raises `CalledProcessError` without a registry."""
    python = FOLDER / "bin" / "python"
    done = FOLDER / "done"
    if not done.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(FOLDER)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), "--editable", f"{ROOT}[kafka]", *NEEDS], check=True)
        done.touch()
    return python
