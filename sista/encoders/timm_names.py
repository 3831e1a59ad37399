"""Any model of timm as an encoder: its family, strides and input are asked of timm, once.

Planning knows no torch, so a process of its own asks, and the answer is kept for this version of
timm in the user's cache. No weights are downloaded and none are made: a model without memory tells
its shapes.
"""

import importlib.util
import json
import os
import re
import subprocess
import sys
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

from sista.errors import UserError
from sista.files import atomic
from sista.runs.workers import SAFE


@cache
def timm_facts(name: str) -> dict[str, Any] | None:
    """Return the fields of an encoder from timm; None if it has no model of this name.

    Args:
        name: of a model, with a tag (`resnet18.a1_in1k`) to start from these weights.

    Raises:
        UserError: timm has the model, and it is no encoder for this suite; says why.
    """
    package = importlib.util.find_spec("timm")
    # The name becomes that of a file.
    if not re.fullmatch(r"\w+(\.\w+)?", name, re.ASCII):
        return None
    if package is None or package.origin is None or not _defined(name, Path(package.origin).parent):
        return None
    stored = _folder() / f"{name}.json"
    told: dict[str, Any]
    try:
        told = json.loads(stored.read_text())
    except (OSError, ValueError):
        told = _ask(name)
        try:
            with atomic(stored) as temporary:
                temporary.write_text(json.dumps(told))
        except (OSError, UserError):
            # A home folder that cannot be written: asked again by the next command.
            pass
    if "refused" in told:
        raise UserError(f"encoder {name}: {told['refused']}")
    return told


def _folder() -> Path:
    start = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(start) / "sista" / f"timm-{version('timm')}"


def _defined(name: str, package: Path) -> bool:
    """Return whether the source of timm defines the model: a misspelt word costs no import."""
    start = f"\ndef {name.partition('.')[0]}("
    return any(start in path.read_text() for path in (package / "models").glob("*.py"))


def _ask(name: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "sista.encoders.timm_examined", name]
    # Where this package lies, whatever the folder that the command was called in.
    paths = [str(Path(__file__).parents[2]), os.environ.get("PYTHONPATH", "")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths)), SAFE: "1"}
    # No shell; the name is that of a function of timm.
    done = subprocess.run(command, capture_output=True, text=True, env=env)  # noqa: S603
    if done.returncode:
        reason = done.stderr.strip().splitlines()[-1:] or ["it ended without a word"]
        raise UserError(f"encoder {name}: timm could not be asked: {reason[0]}")
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told
