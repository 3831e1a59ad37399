"""The fuzzer: valid files of each format, mutated, against their reader.

    python -m tests.hostile.fuzz --inputs 200000 --seed 0 --out FILE [--only READER] [--first N]

An input is its number and the seed: `--only READER --first N --inputs 1` makes it again. Writes
JSON: inputs, outcomes and failures by reader, after each piece of inputs; the same command goes on
behind the inputs that FILE counts, with the commit of each piece. A failure is anything but a value
or a `UserError` of one short text that names the file: another error, a hang, a dead process.
"""

import argparse
import collections
import contextlib
import json
import os
import random
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from sista.errors import UserError
from sista.runs.provenance import code_version
from tests.hostile import guard, mutate
from tests.hostile.isolated import Hang, alarm, isolated
from tests.hostile.readers import Reader, readers
from tests.hostile.trial import make, prepare

KEPT = 400


def mutated(reader: Reader, item: int, seed: int) -> bytes:
    """Return the content of an input."""
    chance = random.Random(f"{seed}:{reader.word}:{item}")
    data, other = chance.choice(reader.seeds), chance.choice(reader.seeds)
    if reader.mutations and chance.random() < 0.6:
        # A value that its container cannot hold is no input: then the bytes are mutated.
        with contextlib.suppress(Exception):
            return chance.choice(reader.mutations)(data, chance, other)
    return mutate.any_bytes(data, chance, other)


def tried(reader: Reader, data: bytes, path: Path) -> tuple[str, str]:
    """Return the outcome of reading an input, "read" or "refused" where it held, and the place."""
    path.write_bytes(data)
    try:
        with alarm():
            reader.read(path)
    except UserError as error:
        text = str(error)
        return (
            ("refused", "") if len(text) <= guard.LONGEST else ("long message", guard.where(error))
        )
    except Hang as error:
        return "hang", guard.where(error)
    except reader.allowed:
        return "refused", ""
    except MemoryError as error:
        return "MemoryError", guard.where(error)
    except Exception as error:
        return type(error).__name__, guard.where(error)
    return "read", ""


def fuzz(folder: Path, inputs: int, seed: int, only: str = "", first: int = 0) -> dict[str, Any]:
    """Try so many inputs on the world in a folder; return counts and failures."""
    world = folder / "world"
    known = [reader for reader in readers(world) if only in reader.word]
    order = [reader for reader in known for _ in range(reader.share)]
    scratch = folder / "fuzz"
    scratch.mkdir(exist_ok=True)
    homes = {reader.word: reader.home(scratch) for reader in known}
    silent = os.open(os.devnull, os.O_WRONLY)
    told = collections.Counter[tuple[str, str]]()
    started = time.monotonic()

    def work(item: int) -> list[str] | None:
        # Libraries in C print warnings of their own.
        os.dup2(silent, 1)
        os.dup2(silent, 2)
        reader = order[item % len(order)]
        outcome, place = tried(reader, mutated(reader, item, seed), homes[reader.word])
        return [outcome, place]

    failures: dict[tuple[str, str, str], list[int]] = collections.defaultdict(list)
    for item, result in isolated(work, first + inputs, first):
        word = order[item % len(order)].word
        if isinstance(result, dict):
            result = [f"{name} {value}" for name, value in result.items()] + [""]
        outcome, place = result
        held = outcome in ("read", "refused")
        told[word, outcome if held else "failed"] += 1
        if not held:
            failures[word, outcome, place].append(item)
    seconds = time.monotonic() - started
    return {
        "inputs": inputs,
        "seed": seed,
        "first": first,
        "pieces": [
            {
                "commit": code_version(),
                "first": first,
                "inputs": inputs,
                "seconds": round(seconds, 1),
            }
        ],
        "readers": {
            r.word: {o: told[r.word, o] for o in ("read", "refused", "failed")} for r in known
        },
        "failed": sum(n for (_, outcome), n in told.items() if outcome == "failed"),
        "failures": [
            {
                "reader": word,
                "outcome": outcome,
                "place": place,
                "count": len(items),
                "inputs": items[:3],
            }
            for (word, outcome, place), items in sorted(failures.items(), key=lambda e: -len(e[1]))
        ][:KEPT],
    }


def added(told: dict[str, Any] | None, more: dict[str, Any]) -> dict[str, Any]:
    """Return the counts of two runs together; the second goes on behind the first."""
    if told is None:
        return more
    readers = {
        word: {o: n + more["readers"][word][o] for o, n in counts.items()}
        for word, counts in told["readers"].items()
    }
    kinds: dict[tuple[str, ...], dict[str, Any]] = {}
    for each in (*told["failures"], *more["failures"]):
        kind = (each["reader"], each["outcome"], each["place"])
        known = kinds.setdefault(kind, {**each, "count": 0, "inputs": []})
        known["count"] += each["count"]
        known["inputs"] = [*known["inputs"], *each["inputs"]][:3]
    return {
        **told,
        "inputs": told["inputs"] + more["inputs"],
        "pieces": told["pieces"] + more["pieces"],
        "readers": readers,
        "failed": told["failed"] + more["failed"],
        "failures": sorted(kinds.values(), key=lambda each: -each["count"])[:KEPT],
    }


def main() -> int:
    """Run it from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--piece", type=int, default=10_000, help="inputs between two writes")
    parser.add_argument("--only", default="")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--world", type=Path)
    given = parser.parse_args()
    out = given.out.absolute()
    with tempfile.TemporaryDirectory() as temporary:
        folder = (given.world or Path(temporary)).absolute()
        folder.mkdir(exist_ok=True)
        make(folder)
        prepare()
        result = json.loads(out.read_text()) if out.is_file() else None
        while (done := result["inputs"] if result else 0) < given.inputs:
            piece = min(given.piece, given.inputs - done)
            more = fuzz(folder, piece, given.seed, given.only, given.first + done)
            result = added(result, more)
            out.write_text(json.dumps(result, indent=1) + "\n")
    print(f"{result['inputs']} inputs, {result['failed']} failed")
    for each in result["failures"]:
        print(f"{each['count']:6} {each['reader']}: {each['outcome']} {each['place']}")
    return int(result["failed"] > 0)


if __name__ == "__main__":
    sys.exit(main())
