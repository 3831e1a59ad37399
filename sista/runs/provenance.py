"""What a result must carry to be followed back: code version, lock, host, time and memory."""

import os
import platform
import resource
import subprocess
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from sista.files import digest, sha256
from sista.runs.portable import bits

ROOT = Path(__file__).resolve().parents[2]


def _git(*words: str) -> str:
    command = ["git", "-C", str(ROOT), *words]
    done = subprocess.run(command, capture_output=True, text=True, check=True)  # noqa: S603 (no shell; fixed words)
    return done.stdout.strip()


@cache
def code_version() -> str:
    """Return the git commit of the code; where files differ from it, a hash of the code follows.

    Outside git: `unknown` and the hash.
    """
    try:
        # A copy without its own repository inside another one would get that one's commit.
        if Path(_git("rev-parse", "--show-toplevel")).resolve() != ROOT:
            return f"unknown+{_content()}"
        # A fixed length: git's own choice grows with the repository.
        commit = _git("describe", "--always", "--abbrev=12", "--dirty=+")
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
        "bits": bits(),
        "torch": _torch(),
    }


def _torch() -> str:
    """Return the version of torch without importing it."""
    try:
        return version("torch")
    except PackageNotFoundError:
        return "none"


def _cpu() -> str:
    """Return the model of the processor, whose instructions decide the last bits of a sum."""
    listed = Path("/proc/cpuinfo")
    lines = listed.read_text().splitlines() if listed.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"
