"""What a result must carry to be followed back: code version, lock, host, time and memory."""

import os
import platform
import resource
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from sista.files import digest, sha256

ROOT = Path(__file__).resolve().parent.parent


@cache
def code_version() -> str:
    """Return the git commit of the code; where files differ from it, a hash of the code follows.

    Outside git: `unknown` and the hash.
    """
    try:
        run = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=+"]
        commit = subprocess.run(run, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        commit = "unknown+"
    return f"{commit}{_content()}" if commit.endswith("+") else commit


def _content() -> str:
    """Return 8 hex digits of the package's source files."""
    files = sorted(ROOT.glob("sista/**/*.py"))
    return digest([[f.relative_to(ROOT).as_posix(), sha256(f)] for f in files])[:8]


@cache
def lock_hash() -> str:
    """Return 12 hex digits of the environment lock, or `unknown`."""
    lock = ROOT / "envs" / "requirements.lock"
    return sha256(lock)[:12] if lock.is_file() else "unknown"


def peak_mb() -> float:
    """Return this process's peak resident memory in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def host() -> dict[str, Any]:
    """Return facts about the machine that a number may depend on, none that names its owner."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cores": os.cpu_count(),
    }
