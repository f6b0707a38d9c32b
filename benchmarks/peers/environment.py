"""The environments that the other drivers run in, each made once: one has an older pydantic than ours, one another `controlzero`."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "bench-output" / "peers"
VENDOR_FOLDER = ROOT / "bench-output" / "vendor"
NEEDS = ("quixstreams>=3.20,<4", "bytewax>=0.21,<0.22")
VENDOR_NEEDS = ("controlzero>=1.13,<2",)


def peer_python() -> Path:
    """Return the interpreter that has the other stream processors, and us. Raises `CalledProcessError` without a registry."""
    return _python(FOLDER, ("--editable", f"{ROOT}[kafka]", *NEEDS))


def vendor_python() -> Path:
    """Return the interpreter that has the vendor's SDK, and nothing of ours: the names are the same. Raises as `peer_python`."""
    return _python(VENDOR_FOLDER, VENDOR_NEEDS)


def _python(folder: Path, needs: Sequence[str]) -> Path:
    """Return the interpreter of an environment, made now where there is none."""
    python = folder / "bin" / "python"
    done = folder / "done"
    if not done.exists():
        uv = str(Path(sys.executable).with_name("uv"))
        subprocess.run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(folder)], check=True)
        subprocess.run([uv, "pip", "install", "--quiet", "--python", str(python), *needs], check=True)
        done.touch()
    return python
