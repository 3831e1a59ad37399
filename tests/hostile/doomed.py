"""Verbs that end early: killed at a chosen write, or on a disk that is full.

Each call runs in a fork of a process that has imported everything, so a call costs what its work
costs. A write is an audit event of Python (a file opened to write, renamed, copied, a folder made).
"""

import ctypes
import json
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

CLONE_NEWNS, CLONE_NEWUSER = 0x20000, 0x10000000
WRITES = ("os.rename", "os.mkdir", "os.remove", "shutil.copyfile", "os.rmdir", "os.truncate")


class Points:
    """Counts the writes below some folders; kills its process at one of them.

    Args:
        folders: whose writes count.
        at: number of the write at which the process ends; None = only count.
    """

    def __init__(self, folders: Sequence[Path], at: int | None) -> None:
        self.folders = [os.path.abspath(folder) for folder in folders]
        self.at, self.count = at, 0

    def install(self) -> None:
        """Listen; a hook stays for the life of its process."""
        sys.addaudithook(self._hear)

    def _hear(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "open":
            flags = arguments[2]
            if not (isinstance(flags, int) and flags & (os.O_WRONLY | os.O_RDWR)):
                return
        elif event not in WRITES:
            return
        path = arguments[0]
        if isinstance(path, str | bytes | os.PathLike):
            place = os.path.abspath(os.fsdecode(path))
            if any(place.startswith(folder) for folder in self.folders):
                self.count += 1
                if self.count == self.at:
                    os.kill(os.getpid(), signal.SIGKILL)


def forked(work: Callable[[], Any]) -> tuple[int, Any]:
    """Run in a fork; return its exit code (negative: a signal) and what it returned."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(writer, json.dumps(work()).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(writer)
    data = b""
    while piece := os.read(reader, 1 << 16):
        data += piece
    os.close(reader)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return code, json.loads(data) if data else None


def verb(folder: Path, arguments: Sequence[str], points: Points | None = None) -> dict[str, Any]:
    """Run a verb in a folder, in this process; return its code, words and count of writes."""
    from tests.hostile.guard import call

    os.chdir(folder)
    if points is not None:
        points.install()
    ended = call(tuple(arguments))
    writes = points.count if points else 0
    failed = f"{ended.failure} in {ended.place}" if ended.failure else ""
    return {"code": ended.code, "said": ended.said, "failed": failed, "writes": writes}


def own_mounts() -> ctypes.CDLL | None:
    """Let what is mounted from now on be seen by this process and its children alone.

    Returns:
        The C library, None where that is not allowed here.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    user, group = os.getuid(), os.getgid()
    flags = CLONE_NEWNS if user == 0 else CLONE_NEWNS | CLONE_NEWUSER
    if libc.unshare(flags):
        return None
    if user:
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {user} 1")
        Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    # Private first: else the mount is seen outside.
    private = 0x4000 | 0x40000
    return None if libc.mount(None, b"/", None, private, None) else libc


def open_python() -> None:
    """Let a user without rights run this Python too, where it lies in somebody's closed home.

    Its folder is put into an empty file system over that home, for this process alone.
    """
    python = Path(sys.base_prefix)
    closed = [p for p in reversed(python.parents) if p.stat().st_mode & 0o5 != 0o5]
    libc = own_mounts() if closed and os.getuid() == 0 else None
    if libc is None:
        return
    kept = tempfile.mkdtemp()
    bind = 0x1000
    libc.mount(str(python).encode(), kept.encode(), None, bind, None)
    libc.mount(b"tmpfs", str(closed[0]).encode(), b"tmpfs", 0, b"mode=0755")
    python.mkdir(parents=True)
    libc.mount(kept.encode(), str(python).encode(), None, bind, None)


def small_disk(place: Path, size: str) -> bool:
    """Put a small file system over a folder, for this process and its children alone.

    Returns:
        Whether that is allowed here.
    """
    libc = own_mounts()
    if libc is None:
        return False
    options = f"size={size},mode=0777".encode()
    return not libc.mount(b"tmpfs", str(place).encode(), b"tmpfs", 0, options)


def contents(folder: Path, but: Sequence[str] = ()) -> dict[str, bytes]:
    """Return the content of each file below a folder, but for some names."""
    files = [path for path in sorted(folder.rglob("*")) if path.is_file()]
    return {p.relative_to(folder).as_posix(): p.read_bytes() for p in files if p.name not in but}


def fresh(pristine: Path, folder: Path) -> Path:
    """Return a new copy of the world."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(pristine, folder, symlinks=True)
    return folder
