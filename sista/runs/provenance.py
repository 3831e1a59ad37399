"""What a result must carry to be followed back: code version, lock, host, time and memory."""

import os
import platform
import resource
import subprocess
from functools import cache
from pathlib import Path
from typing import Any

from sista.files import digest, sha256

ROOT = Path(__file__).resolve().parents[2]


@cache
def code_version() -> str:
    """Return the git commit of the code; where files differ from it, a hash of the code follows.

    Outside git: `unknown` and the hash.
    """
    try:
        # A copy without its own repository inside another one would get that one's commit.
        top = ["git", "-C", str(ROOT), "rev-parse", "--show-toplevel"]
        found = subprocess.run(top, capture_output=True, text=True, check=True).stdout.strip()
        if Path(found).resolve() != ROOT:
            return f"unknown+{_content()}"
        # A fixed length: git's own choice grows with the repository.
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
    """Return the peak resident memory in MB of this process or its largest finished child."""
    both = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    # Linux counts it in kilobytes.
    return max(resource.getrusage(who).ru_maxrss for who in both) / 1024


def host() -> dict[str, Any]:
    """Return facts about the machine that a number may depend on, none that names its owner."""
    return {
        "machine": platform.machine(),
        "system": platform.system(),
        "python": platform.python_version(),
        "cpu": _cpu(),
        "cores": os.cpu_count() or 1,
    }


def _cpu() -> str:
    """Return the model of the processor, whose instructions decide the last bits of a sum."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
