"""Kills and full disks for each verb that writes.

    python -m tests.hostile.kills --kills 25 --out FILE [--only VERB] [--world FOLDER]

A killed verb is given once more: then it must end well, with the same files as undisturbed, and
nothing left over. On a full disk a verb must say so in one line, leave what was there, and nothing
half-written. Writes JSON: a line for each kill and each disk.
"""

import argparse
import io
import json
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from sista import registry
from sista.metadata import META_KEY
from sista.runs.record import LEFTOVER
from tests.hostile.doomed import Points, contents, forked, fresh, small_disk, verb
from tests.hostile.targets import COMMANDS
from tests.hostile.trial import make, prepare
from tests.importers import made_up

# Of the run, not of the result.
TIMES = (
    # Hashes by the times of the files, which are those of this copy of the world.
    ".hashes.parquet",
    *("run.json", "log.txt", "log.csv", "three.run.json", "again.run.json"),
)
# What each verb may write: its output, and what it keeps beside its inputs.
VERBS = {
    "fetch": COMMANDS["fetch"],
    "prepare": COMMANDS["prepare"],
    "pretrain": COMMANDS["pretrain"],
    "adapt": COMMANDS["adapt"],
    "score": "score --grid tasks/three.yaml --out tasks/results/score/again.parquet --results tasks/results --bootstrap 20",  # noqa: E501
    "report": COMMANDS["report"],
    "import": "import medclip weights/medclip.pt --out out/e.safetensors",
    "crate": COMMANDS["crate"],
    "curves": COMMANDS["curves"],
    "similarity": COMMANDS["similarity"],
}
# Score keeps what it has computed below the results.
PLACES = {"score": "tasks/results/score"}
SIZES = ("4k", "16k", "64k", "300k")


def _said(name: str, content: bytes) -> Any:
    """Return what a file says; of predictions without what their run has cost."""
    if name.rpartition("/")[2] != "predictions.parquet":
        return content
    table = pq.read_table(io.BytesIO(content))
    meta = json.loads(table.schema.metadata[META_KEY])
    run = {name: value for name, value in meta["run"].items() if name not in ("wall_s", "peak_mb")}
    return table.replace_schema_metadata(None), {**meta, "run": run}


def kills(verb_word: str, pristine: Path, folder: Path, count: int) -> Iterator[dict[str, Any]]:
    """Kill a verb at so many of its writes, evenly taken, and give it once more."""
    arguments = VERBS[verb_word].split()
    place = PLACES.get(verb_word, "out")
    world = fresh(pristine, folder)
    points = Points([world / place], None)
    code, told = forked(partial(verb, world, arguments, points))
    if code or told["code"]:
        raise SystemExit(f"{verb_word}: ends with {code} undisturbed: {told}")
    wanted = {n: _said(n, each) for n, each in contents(world / place, TIMES).items()}
    writes = told["writes"]
    # Not the same write twice.
    chosen = sorted({1 + n * (writes - 1) // max(1, count - 1) for n in range(count)})
    for at in chosen:
        world = fresh(pristine, folder)
        killed, _ = forked(partial(verb, world, arguments, Points([world / place], at)))
        _, again = forked(partial(verb, world, arguments))
        found = {n: _said(n, each) for n, each in contents(world / place, TIMES).items()}
        left = [p.name for p in (world / place).rglob(".*") if LEFTOVER.match(p.name)]
        names = wanted.keys() | found.keys()
        different = sorted(n for n in names if wanted.get(n) != found.get(n))
        yield {
            "verb": verb_word,
            "write": at,
            "writes": writes,
            "killed": killed == -9,
            "code": again["code"],
            "failed": again["failed"],
            "said": again["said"][-200:],
            "different": different,
            "left": left,
        }


def _on_disk(world: Path, place: Path, size: str, arguments: list[str]) -> dict[str, Any] | None:
    """Run a verb with a small disk at its output; None where that is not allowed here."""
    if not small_disk(place, size):
        return None
    told = verb(world, arguments)
    return {**told, "left": [p.name for p in place.rglob("*") if LEFTOVER.match(p.name)]}


def disks(verb_word: str, pristine: Path, folder: Path) -> Iterator[dict[str, Any]]:
    """Give a verb small disks for its output, then a large one."""
    arguments = VERBS[verb_word].split()
    for size in SIZES:
        world = fresh(pristine, folder)
        place = world / PLACES.get(verb_word, "out")
        _, told = forked(partial(_on_disk, world, place, size, arguments))
        if told is None:
            return
        full = "No space left" in told["said"] or "no space left" in told["said"]
        yield {
            "verb": verb_word,
            "size": size,
            "full": full,
            "code": told["code"],
            "failed": told["failed"],
            "left": told["left"],
            "said": told["said"][-200:],
        }


def _small_releases() -> None:
    """Let `import` expect a small encoder: the released one has 100 MB."""
    release = made_up.RELEASES["medclip"]()
    find = registry.find
    registry.find = lambda kind, word: release.card if word == "medclip" else find(kind, word)


def good(line: dict[str, Any]) -> bool:
    """Return whether a kill or a full disk was held."""
    if line["failed"] or line["left"]:
        return False
    if "write" in line:
        return line["code"] == 0 and not line["different"]
    return line["code"] == 0 or line["full"]


def doom(folder: Path, count: int, only: str = "") -> list[dict[str, Any]]:
    """Kill and fill for every verb; return the lines."""
    make(folder)
    prepare()
    _small_releases()
    lines = []
    for word in VERBS:
        if only in word:
            for line in (
                *kills(word, folder / "pristine", folder / "doomed", count),
                *disks(word, folder / "pristine", folder / "doomed"),
            ):
                lines.append({**line, "good": good(line)})
                if not good(line):
                    print(line, flush=True)
    return lines


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=25)
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--world", type=Path)
    given = parser.parse_args()
    out = given.out.absolute()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.world or Path(temporary)).absolute()
        folder.mkdir(exist_ok=True)
        lines = doom(folder, given.kills, given.only)
    out.write_text(json.dumps(lines, indent=1) + "\n")
    bad = sum(not line["good"] for line in lines)
    print(f"{len(lines)} kills and disks, {bad} not held")
    return int(bad > 0)


if __name__ == "__main__":
    sys.exit(main())
