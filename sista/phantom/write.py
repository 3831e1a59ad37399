"""Write one raw layout of a phantom preset, exactly as its download would look."""

import importlib
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from sista.errors import UserError
from sista.files import atomic
from sista.phantom.patients import make_patient, roster
from sista.phantom.presets import LAYOUTS, Preset
from sista.phantom.truth import Rows, write_truth
from sista.runs.progress import track
from sista.runs.workers import worker_pool

PATIENTS_PER_TASK = 8


def write(layout: str, preset: Preset, folder: Path, threads: int = 1) -> None:
    """Write the raw tree of one layout into `folder`, which appears when it is complete.

    Args:
        layout: one of `presets.LAYOUTS`.
        preset: sizes and seed.
        folder: folder to make; an older one is replaced.
        threads: number of worker processes; the files do not depend on it.

    Raises:
        UserError: `layout` is unknown or not part of the preset.
    """
    if layout not in preset.studies:
        known = ", ".join(word for word in LAYOUTS if word in preset.studies)
        raise UserError(f"{layout}: no layout of preset {preset.word}; choose one of: {known}")
    module = importlib.import_module(f"sista.phantom.layouts.{layout}")
    entries = list(roster(preset, layout))
    tasks = [entries[i : i + PATIENTS_PER_TASK] for i in range(0, len(entries), PATIENTS_PER_TASK)]
    with atomic(folder) as temporary:
        temporary.mkdir()
        rows: Rows = {}
        work = partial(_write_patients, layout, preset, temporary)
        batches = _spread(work, tasks, threads)
        for batch in track(batches, f"phantom {layout}", len(tasks)):
            for table, lines in batch.items():
                rows.setdefault(table, []).extend(lines)
        # Taken out first: the truth is no table of the source's layout.
        write_truth(temporary, rows.pop("truth"))
        module.finish(temporary, rows)


def _spread(
    work: "partial[Rows]", tasks: list[list[tuple[int, int]]], threads: int
) -> Iterator[Rows]:
    """Yield the results of all tasks in order, made by `threads` processes."""
    if threads <= 1:
        yield from map(work, tasks)
        return
    with worker_pool(threads, "spawn") as pool:
        yield from pool.map(work, tasks)


def _write_patients(
    layout: str, preset: Preset, folder: Path, entries: list[tuple[int, int]]
) -> Rows:
    module = importlib.import_module(f"sista.phantom.layouts.{layout}")
    rows: Rows = {}
    for index, count in entries:
        patient = make_patient(preset, layout, index, count)
        for table, lines in module.write_patient(patient, folder).items():
            rows.setdefault(table, []).extend(lines)
    return rows
