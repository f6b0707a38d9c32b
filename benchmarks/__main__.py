"""`python -m benchmarks [module …] [--rounds N]`: run every module that has `run(rounds)`, print a table, write JSON."""

import argparse
import importlib
import json
import pkgutil
import platform
import sys
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

import benchmarks
from benchmarks.measure import ROUNDS_MIN, Result

OUTPUT = Path("bench-output") / "bench.json"
WIDTH = 160  # of a table that no terminal shows


def main() -> int:
    """Run the asked modules, or all; a module that cannot run here is named and the others go on."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("modules", nargs="*", help="such as decide; all where none is named")
    parser.add_argument("--rounds", type=int, default=ROUNDS_MIN)
    parser.add_argument("--json", type=Path, default=OUTPUT)
    asked = parser.parse_args()
    found = sorted(module.name for module in pkgutil.iter_modules(benchmarks.__path__) if not module.name.startswith("_"))
    if unknown := set(asked.modules) - set(found):
        parser.error(f"no benchmark {', '.join(sorted(unknown))}; there are {', '.join(found)}")
    console = Console(width=None if sys.stdout.isatty() else WIDTH)
    results: dict[str, list[Result]] = {}
    not_run: dict[str, str] = {}
    for name in asked.modules or found:
        try:
            module = importlib.import_module(f"benchmarks.{name}")
        except ImportError as missing:
            not_run[name] = f"{missing}; install the `bench` group"
            continue
        if hasattr(module, "run"):
            console.print(f"[dim]{name} …[/]")
            results[name] = module.run(asked.rounds)
            console.print(_table(name, results[name]))
        elif name in asked.modules:
            parser.error(f"{name} measures nothing by itself; it is a part of the others")
    for name, why in not_run.items():
        console.print(f"[yellow]not run:[/] {name}: {why}")
    _write(asked.json, results, not_run, asked.rounds)
    console.print(f"written to {asked.json}")
    return 0


def _table(name: str, results: list[Result]) -> Table:
    table = Table("what", "ours", "reference", "ratio", "bar", "", "note", title=name, title_justify="left")
    for result in results:
        sign = "≥" if result.higher_is_better else "≤"
        met = {None: "", True: "[green]met[/]", False: "[red]missed[/]"}[result.is_met]
        table.add_row(
            result.name,
            f"{_figure(result.ours)} {result.unit}",
            "" if result.reference is None else f"{_figure(result.reference)} {result.unit}",
            "" if result.ratio is None else f"{result.ratio:.2f} x",
            "" if result.bar is None else f"{sign} {_figure(result.bar)}{' x' if result.ratio is not None else ''}",
            met,
            result.note,
        )
    return table


def _figure(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"


def _write(path: Path, results: dict[str, list[Result]], not_run: dict[str, str], rounds: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    said = {
        "python": sys.version.split()[0],
        "machine": platform.machine(),
        "rounds": rounds,
        "results": {name: [{**msgspec.to_builtins(each), "is_met": each.is_met} for each in group] for name, group in results.items()},
        "not_run": not_run,
    }
    path.write_text(json.dumps(said, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(main())
