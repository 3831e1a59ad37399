"""Whether a path stays inside a download, with symbolic links followed."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path

# Folders of links, and the folder that their links lead to.
_LINKED: dict[Path, Path] = {}


def inside(root: Path, path: Path) -> bool:
    """Tell whether a path, with links followed, lies inside `root`."""
    return stays(str(root), str(path))


def stays(root: str, path: str) -> bool:
    """Tell what `inside` does; of texts, for tables with hundreds of thousands of films."""
    folder, _, name = path.rpartition("/")
    # Films stand in fewer folders, which are resolved once.
    end = _resolved(folder or ".")
    if name in ("", "..") or os.path.islink(path):
        end = os.path.realpath(path)
    start = _resolved(root)
    for linked, base in _LINKED.items():
        if _below(start, str(linked)):
            return _below(end, str(base)) or _below(end, str(linked))
    return _below(end, start)


def _below(path: str, folder: str) -> bool:
    return path == folder or path.startswith(f"{folder.rstrip('/')}/")


@lru_cache(maxsize=1 << 12)
def _resolved(folder: str) -> str:
    return os.path.realpath(folder)


@contextmanager
def also_inside(view: Path, base: Path) -> Iterator[None]:
    """Let links of the folder `view` lead into the folder `base`."""
    _LINKED[view.resolve()] = base.resolve()
    _resolved.cache_clear()
    try:
        yield
    finally:
        del _LINKED[view.resolve()]
