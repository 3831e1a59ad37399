"""The trial: every bad input against every verb, each in a process that may die.

    python -m tests.hostile.trial --out FILE [--only TEXT] [--skip TEXT] [--part fast]

Writes JSON: counts, and what was wrong by case.
"""

import argparse
import collections
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import warnings
import zlib
from pathlib import Path
from typing import Any

import psutil

from sista.runs.provenance import code_version
from tests.hostile import guard
from tests.hostile.cases import every
from tests.hostile.doomed import open_python
from tests.hostile.guard import Case
from tests.hostile.isolated import isolated

# A case that is believed today trains, or draws, for seconds.
SLOW = ("pretrain", "adapt", "similarity", "reproduce")
FAST_SHARE = 3
# Beside what the imports take; far more than any case needs.
MEMORY = 2 << 30


def make(folder: Path) -> Path:
    """Return a world in a folder, made in a process of its own: torch's threads are not forked."""
    if not (folder / "pristine").is_dir():
        command = [sys.executable, "-W", "ignore", "-m", "tests.hostile.world"]
        made = folder / "making"
        subprocess.run([*command, str(made)], check=True, capture_output=True)
        made.rename(folder / "pristine")
    shutil.rmtree(folder / "world", ignore_errors=True)
    shutil.copytree(folder / "pristine", folder / "world", symlinks=True)
    for path in (folder, *folder.parents):
        # Somebody without rights comes in here.
        if path.stat().st_mode & 0o5 != 0o5 and path.stat().st_uid == os.getuid():
            path.chmod(0o755)
    return folder / "world"


def prepare() -> None:
    """Import what the verbs import, and limit this process's memory."""
    open_python()
    # Each process for decoders imports the main module again; this one has all of torch in it.
    main_module = sys.modules["__main__"]
    main_module.__spec__ = None
    main_module.__dict__.pop("__file__", None)
    import sista.adaptation.job
    import sista.importers._convert
    import sista.stages.pretrain
    import sista.stages.report  # noqa: F401

    os.environ.update(OMP_NUM_THREADS="1", COLUMNS="200", NO_COLOR="1", HF_HUB_OFFLINE="0")
    os.environ.pop("SISTA_DATA", None)
    warnings.simplefilter("ignore")
    taken = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (taken + MEMORY, resource.RLIM_INFINITY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def fast(cases: list[Case]) -> list[Case]:
    """Return the cases of the fast part: a fixed share of those that start no training."""
    return [
        case
        for case in cases
        if case.verb.split()[0] not in SLOW and zlib.crc32(case.word.encode()) % FAST_SHARE == 0
    ]


def trial(
    folder: Path,
    only: str = "",
    skip: str = "^$",
    part: str = "all",
    first: int = 0,
    verbose: bool = False,
) -> dict[str, Any]:
    """Run all cases that match `only` and not `skip`; return the counts and what was wrong."""
    world, pristine = make(folder), folder / "pristine"
    prepare()
    cases = [c for c in every(pristine) if re.search(only, c.word) and not re.search(skip, c.word)]
    cases = (fast(cases) if part == "fast" else cases)[first:]
    os.chdir(world)
    (world / guard.OUT).chmod(0o777)
    clean = guard.state(world)
    started = time.monotonic()

    def work(item: int) -> dict[str, Any]:
        begun = time.monotonic()
        verdict = guard.run(cases[item], world, pristine, clean)
        return {**verdict, "seconds": round(time.monotonic() - begun, 2)}

    verdicts = []
    for item, verdict in isolated(work, len(cases)):
        case = cases[item]
        if "wrong" not in verdict:
            wrong = [f"{name} {value}" for name, value in verdict.items()]
            verdict = {
                "case": case.word,
                "verb": case.verb,
                "wrong": wrong,
                "said": "",
                "code": None,
            }
            guard.restore(world, pristine, clean)
        verdicts.append(verdict)
        if verbose and verdict["wrong"]:
            told = f"[{verdict.get('seconds', '')}] {verdict['said'][-300:]!r}"
            print(f"{verdict['case']}: {'; '.join(verdict['wrong'])} {told}", flush=True)
    held = sum(not verdict["wrong"] for verdict in verdicts)
    counts = collections.Counter(w for verdict in verdicts for w in verdict["wrong"])
    return {
        "commit": code_version(),
        "part": part,
        "inputs": len(cases),
        "held": held,
        "seconds": round(time.monotonic() - started, 1),
        "verbs": dict(collections.Counter(case.verb.split()[0] for case in cases)),
        "kinds": len({case.kind for case in cases}),
        "wrong": dict(counts.most_common()),
        "verdicts": verdicts,
    }


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--only", default="", help="regular expression of cases")
    parser.add_argument("--skip", default="^$", help="of cases to leave out")
    parser.add_argument("--part", choices=("fast", "all"), default="all")
    parser.add_argument("--first", type=int, default=0, help="cases to leave out at the start")
    parser.add_argument("--world", type=Path)
    given = parser.parse_args()
    out = given.out.absolute()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.world or Path(temporary)).absolute()
        folder.mkdir(exist_ok=True)
        result = trial(folder, given.only, given.skip, given.part, given.first, verbose=True)
    out.write_text(json.dumps(result, indent=1) + "\n")
    print({k: v for k, v in result.items() if k not in ("verdicts", "wrong")})
    return 0 if result["held"] == result["inputs"] else 1


if __name__ == "__main__":
    sys.exit(main())
