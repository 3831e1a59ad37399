"""What the speed benchmarks measure with, and how they tell it: a table, and CSV with `--out`."""

import argparse
import csv
import platform
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import torch
from rich.console import Console
from rich.table import Table
from torch.profiler import ProfilerActivity, profile
from torch.utils._python_dispatch import TorchDispatchMode

SYNCS = ("aten::_local_scalar_dense", "aten::nonzero")


class Measure(NamedTuple):
    """One figure with the limit it is held against; `at_least` = the limit is a lower one."""

    name: str
    measured: float
    limit: float | None
    unit: str
    at_least: bool = False

    @property
    def kept(self) -> bool:
        """Whether the figure keeps its limit."""
        if self.limit is None:
            return True
        return self.measured >= self.limit if self.at_least else self.measured <= self.limit


class OperationCounter(TorchDispatchMode):
    """Counts dispatched tensor operations, views left out, and those that read a value.

    What a kernel does inside is not dispatched: AdamW's on a CPU reads its steps, a GPU's does not.
    """

    def __init__(self) -> None:
        super().__init__()
        self.count = self.reads = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Count one operation and run it."""
        self.count += not func.is_view
        self.reads += func._schema.name in SYNCS
        return func(*args, **(kwargs or {}))


def operations(step: Callable[[], object]) -> int:
    """Return the dispatched tensor operations of a step."""
    with OperationCounter() as counter:
        step()
    return int(counter.count)


def host_syncs(step: Callable[[], object]) -> int:
    """Return how often a step waits for a value of a tensor, from the profiler's trace."""
    with profile(activities=[ProfilerActivity.CPU]) as trace:
        step()
    return sum(event.name in SYNCS for event in trace.events())


def resident_mb(field: str = "VmRSS") -> float:
    """Return the resident set of this process in MB (Linux); `VmHWM` = its peak."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    raise RuntimeError(f"no {field} in /proc/self/status")


def peak_extra_mb(step: Callable[[], object]) -> float:
    """Return how far the resident set rises above where it is now; call it in a fresh process."""
    Path("/proc/self/clear_refs").write_text("5")
    before = resident_mb()
    step()
    return resident_mb("VmHWM") - before


def machine() -> str:
    """Return processor, cores and torch version of this machine."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    name = names[0] if names else platform.machine()
    return f"{name}, {len(names)} cores, torch {torch.__version__}"


def tell(measures: Iterable[Measure], description: str) -> None:
    """Print the measures as a table and write them where `--out FILE.csv` says.

    Args:
        measures: made while they are shown; the argument is parsed first.
        description: of the benchmark, for `--help`.
    """
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--out", type=Path, help="CSV to write")
    out = parser.parse_args().out
    found = list(measures)
    table = Table("name", "measured", "limit", "unit", "", box=None)
    for m in found:
        limit = "" if m.limit is None else f"{'>=' if m.at_least else '<='} {m.limit:g}"
        table.add_row(m.name, f"{m.measured:.3g}", limit, m.unit, "" if m.kept else "MISSED")
    Console(width=140).print(table)
    if out is not None:
        with out.open("w", newline="") as stream:
            writer = csv.writer(stream)
            writer.writerow(("name", "measured", "limit", "unit", "machine", "date"))
            day = datetime.now(UTC).date().isoformat()
            for m in found:
                row = (m.name, f"{m.measured:.4g}", "" if m.limit is None else m.limit, m.unit)
                writer.writerow((*row, machine(), day))
