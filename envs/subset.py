"""Print the part of the lock that a smaller environment needs, with its hashes.

    python envs/subset.py core     # no torch: plans, prepares, scores, reports, builds the site
    python envs/subset.py cpu      # trains too, without CUDA; torch itself is left out

Which package needs which is told by the lock's comments (`# via`). `make env EXTRAS=...` calls it.
"""

import re
import sys
import tomllib
from pathlib import Path

HERE = Path(__file__).parent
EXTRAS = {"core": ("site",), "cpu": ("site", "train")}
# What `make env` builds the command `sista` with.
BUILD = {"hatchling", "editables"}
# Wheels of torch on PyPI need the CUDA libraries on Linux; those without come from elsewhere.
CUDA = re.compile(r"(nvidia|cuda)-|(triton|torch|torchvision)$")


def blocks(lock: str) -> dict[str, tuple[str, set[str]]]:
    """Return the text of each package of a lock and the names of those that need it."""
    found = {}
    for text in re.split(r"^(?=[a-z0-9])", lock, flags=re.M)[1:]:
        name = re.split(r"[\s=\[;]", text)[0]
        told = re.findall(r"^    #(?:   | via )(\S+)", text, re.M)
        found[name] = (text, set(told))
    return found


def subset(extra: str, lock: str, project: str) -> str:
    """Return the blocks of what an environment needs; raises KeyError for an unknown one."""
    table = tomllib.loads(project)["project"]
    asked = list(table["dependencies"])
    for name in EXTRAS[extra]:
        asked += table["optional-dependencies"][name]
    needed = BUILD | {re.split(r"[^A-Za-z0-9._-]", line)[0].lower() for line in asked}
    known = blocks(lock)
    kept: set[str] = set()
    while new := {name for name, (_, by) in known.items() if name in needed or by & kept} - kept:
        kept |= new
    dropped = {name for name in kept if extra == "cpu" and CUDA.match(name)}
    return "".join(text for name, (text, _) in known.items() if name in kept - dropped)


if __name__ == "__main__":
    if len(sys.argv) != 2 or sys.argv[1] not in EXTRAS:
        sys.exit(f"EXTRAS={' '.join(sys.argv[1:])}: valid: all, {', '.join(EXTRAS)}")
    files = (HERE / "requirements.lock", HERE.parent / "pyproject.toml")
    print(subset(sys.argv[1], *(file.read_text() for file in files)), end="")
