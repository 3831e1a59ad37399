"""Run a list of trials and append a line for each to the trail; those in it are not run again.

`python -m benchmarks.regime.run TRIALS.jsonl --prepared FOLDER --trail trail.jsonl`: a line of
TRIALS is a JSON object with fields of `Trial`; `seed` and `encoder` may be lists.
"""

import argparse
import json
import traceback
from collections.abc import Iterator
from dataclasses import asdict
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks.regime.trial import Trial, determinism, run


def trials(lines: list[str]) -> Iterator[Trial]:
    """Yield the trials of a list, one for each seed and encoder of a line."""
    for line in lines:
        if line.strip() and not line.startswith("#"):
            given: dict[str, Any] = json.loads(line)
            seeds, encoders = given.pop("seed", 0), given.pop("encoder", "resnet_tiny")
            for name in ("draws", "fractions"):
                if name in given:
                    given[name] = tuple(given[name])
            for seed, encoder in product(_listed(seeds), _listed(encoders)):
                yield Trial(seed=seed, encoder=encoder, **given)


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def done(trail: Path) -> set[str]:
    """Return the keys of the trials in a trail."""
    lines = trail.read_text().splitlines() if trail.is_file() else []
    return {json.loads(line)["key"] for line in lines}


def main() -> None:
    """Run what is not yet in the trail; the list may grow meanwhile."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("trials", type=Path)
    parser.add_argument("--prepared", type=Path, required=True)
    parser.add_argument("--trail", type=Path, required=True)
    given = parser.parse_args()
    failed: set[str] = set()
    with determinism():
        while True:
            known = done(given.trail) | failed
            lines = given.trials.read_text().splitlines()
            waiting = [t for t in trials(lines) if t.key not in known]
            if not waiting:
                return
            trial = waiting[0]
            try:
                found = run(trial, given.prepared)
            except Exception:  # what fails is told, and the others go on
                traceback.print_exc()
                failed.add(trial.key)
                continue
            resolved = {"plan": asdict(trial.budget), "spec": asdict(trial.image)}
            line = asdict(trial) | found | {"key": trial.key, "resolved": resolved}
            with given.trail.open("a") as file:
                file.write(json.dumps(line) + "\n")


if __name__ == "__main__":
    main()
