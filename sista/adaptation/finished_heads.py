"""The heads of an unfinished job that are finished: a killed job goes on after the last one."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from sista import tables
from sista.errors import UserError, warn
from sista.files import atomic, digest, read_json, write_json


class FinishedHeads:
    """Finished heads of an unfinished job, in a folder beside the predictions."""

    def __init__(self, out: Path, run: Mapping[str, Any], inputs: Sequence[Path]) -> None:
        self.folder = out.with_name(f".{out.stem}.parts")
        stamps = [(p.name, p.stat().st_mtime_ns, p.stat().st_size) for p in inputs]
        key = {"run": digest(run), "inputs": digest(stamps)}
        known = self.folder / "job.json"
        if self.folder.is_symlink() or (self.folder.exists() and not self.folder.is_dir()):
            # Not ours: what it leads to stays; nobody writes to a pipe.
            self.folder.unlink()
        if self.folder.exists() and self._read(known) != key:
            told = f"{self.folder}: finished heads of another job, ignored; this one begins anew"
            warn(told)
            shutil.rmtree(self.folder)
        write_json(known, key)

    @staticmethod
    def _read(path: Path) -> Any:
        """Return what a file of the folder says, None where it is damaged or not there."""
        try:
            return read_json(path)
        except UserError:
            return None

    def _path(self, draw: int, fraction: int) -> Path:
        return self.folder / f"draw{draw}_{fraction}.parquet"

    def has(self, draw: int, fraction: int) -> bool:
        """Return whether this head is finished; one whose files are damaged is made again."""
        path = self._path(draw, fraction)
        told = self._read(path.with_suffix(".json"))
        if not isinstance(told, dict) or not {"reason", "seconds"} <= told.keys():
            return False
        try:
            tables.columns_of(path, [])
        except UserError:
            return bool(told["reason"])
        return True

    def put(
        self,
        draw: int,
        fraction: int,
        frame: pd.DataFrame | None,
        reason: str | None,
        seconds: float,
    ) -> None:
        """Keep the predictions of a head, or the reason why there are none."""
        path = self._path(draw, fraction)
        if frame is not None:
            with atomic(path) as temporary:
                frame.to_parquet(temporary)
        write_json(path.with_suffix(".json"), {"reason": reason, "seconds": seconds})

    def collect(
        self, cells: Sequence[tuple[int, int]], columns: Mapping[str, Any]
    ) -> tuple[pd.DataFrame, list[dict[str, Any]], dict[str, float]]:
        """Return predictions, refused fractions, and seconds by "draw,fraction"."""
        frames: list[pd.DataFrame] = []
        refused, walls = [], {}
        for draw, fraction in cells:
            path = self._path(draw, fraction)
            told = read_json(path.with_suffix(".json"))
            walls[f"{draw},{fraction}"] = round(float(told["seconds"]), 3)
            if told["reason"]:
                refused.append({"draw": draw, "fraction": fraction, "reason": told["reason"]})
            else:
                frames.append(tables.columns_of(path).to_pandas())
        if not frames:
            return pd.DataFrame({name: [] for name in columns}), refused, walls
        return pd.concat(frames, ignore_index=True)[list(columns)], refused, walls

    def remove(self) -> None:
        """Delete the folder."""
        shutil.rmtree(self.folder)
