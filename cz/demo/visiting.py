"""The demonstration's agents at a product that runs elsewhere: `python -m cz.demo.visiting`, until it is told to end.

The first time it makes their project, with a fortnight of history, and keeps their key in the data folder; later they go on.
Environment: CZ_HOME and what else reaches the control plane, CONTROLZERO_BASE_URL for the gateway.
"""

import argparse
import os
from pathlib import Path

from controlplane.service import ControlPlane
from cz import settings
from cz.demo import stage
from cz.home import Home
from cz.plane import plane_over
from topics.ending import asked_by_signals


def main() -> None:
    """Have the agents act until SIGTERM or SIGINT."""
    parser = argparse.ArgumentParser(prog="python -m cz.demo.visiting", description=__doc__)
    parser.add_argument("--days", type=int, default=14, help="days of history, the first time (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the same seed makes the same history (default: %(default)s)")
    options = parser.parse_args()
    ending = asked_by_signals()
    read = settings.read()
    home, api_url = Home(read.home), read.environment.get("CONTROLZERO_BASE_URL", f"http://{settings.DEFAULT_HOST}:{settings.DEFAULT_PORT}")
    home.run.mkdir(mode=0o700, parents=True, exist_ok=True)
    with plane_over(home) as plane:
        key = _key(plane, home, api_url, days=options.days, seed=options.seed)
    environment = stage.environment_of_agents(read.environment, home, api_url=api_url, key=key)
    with stage.on_stage(stage.cast(home, environment), lambda sentence: print(sentence, flush=True)):
        print(f"The agents of project `{stage.PROJECT}` are at work.", flush=True)
        ending.wait()


def _key(plane: ControlPlane, home: Home, api_url: str, *, days: int, seed: int) -> str:
    """Return the agents' key; where there is none, begin: a visit that was cut short had not yet kept it."""
    kept = home.path / "keys" / "demo.key"
    if kept.exists():
        return kept.read_text(encoding="utf-8")
    if any(project.project_id == stage.PROJECT for project in plane.list_projects(archived=True)):
        key, _ = plane.create_key([stage.PROJECT], actor=stage.ACTOR, why="the demonstration's agents")
    else:
        key = stage.set_up(plane)
        sent = stage.send_history(plane, api_url, key, days=days, seed=seed)
        print(f"{sent:,} decisions and outcomes of the last {days} days are on their way in.", flush=True)
    _keep(kept, key)
    return key


def _keep(path: Path, key: str) -> None:
    draft = path.with_suffix(".draft")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
        file.write(key)
    draft.replace(path)


if __name__ == "__main__":
    main()
