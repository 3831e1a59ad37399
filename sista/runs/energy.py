"""Energy of a run from the machine's own counters: RAPL (processor packages) and NVML (GPUs).

The counters are those of the whole machine: what else ran meanwhile is in the number too.
"""

import ctypes
import os
from pathlib import Path
from typing import Any

POWERCAP = Path("/sys/class/powercap")
NVML = "libnvidia-ml.so.1"


class EnergyMeter:
    """Sums what the counters of this machine add from its making on.

    Processor counters wrap around after some tens of minutes, so `poll` must be called more often.

    Args:
        powercap: folder of the RAPL zones.
        nvml: the NVIDIA management library, or None where there is none.
    """

    def __init__(self, powercap: Path = POWERCAP, nvml: Any = None) -> None:
        self.joules = 0.0
        # intel-rapl:0 is a package; intel-rapl:0:0 a part of it, which its counter holds already.
        self._zones = sorted(p for p in powercap.glob("intel-rapl:*") if p.name.count(":") == 1)
        self._nvml = nvml or _nvml()
        self._gpus = _gpus(self._nvml) if self._nvml else []
        self._refused = ""
        self._last = self._read()

    def _read(self) -> list[float]:
        """Return joules of all counters; an unreadable zone is left out for good."""
        values = []
        for zone in list(self._zones):
            try:
                values.append(int((zone / "energy_uj").read_text()) / 1e6)
            except OSError:
                self._refused = f"{zone / 'energy_uj'} cannot be read (root only)"
                self._zones.remove(zone)
        for gpu in self._gpus:
            millijoules = ctypes.c_ulonglong()
            self._nvml.nvmlDeviceGetTotalEnergyConsumption(gpu, ctypes.byref(millijoules))
            values.append(millijoules.value / 1e3)
        return values

    def poll(self) -> None:
        """Add what the counters gained since the last call."""
        now = self._read()
        # A zone has become unreadable: the positions no longer belong together.
        if len(now) != len(self._last):
            self._last = now
            return
        for index, (before, after) in enumerate(zip(self._last, now, strict=True)):
            gained = after - before
            # The counter has wrapped around, once: `poll` comes more often than that.
            if gained < 0 and index < len(self._zones):
                zone = self._zones[index] / "max_energy_range_uj"
                gained += int(zone.read_text()) / 1e6
            self.joules += max(gained, 0.0)
        self._last = now

    def spent(self) -> tuple[float | None, str]:
        """Return the joules so far, or None, and the counters they come from, or why none."""
        self.poll()
        names = [f"RAPL, {len(self._zones)} packages"] if self._zones else []
        names += [f"NVML, {len(self._gpus)} GPUs"] if self._gpus else []
        if names:
            return round(self.joules, 3), "; ".join(names) + "; of the whole machine"
        return None, self._refused or f"no RAPL zone in {POWERCAP} and no {NVML}"


def _nvml() -> Any:
    try:
        library = ctypes.CDLL(NVML)
    except OSError:
        return None
    return library if library.nvmlInit_v2() == 0 else None


def _gpus(library: Any) -> list[Any]:
    """Return handles of the GPUs that this process may see and that count their energy."""
    count = ctypes.c_uint()
    library.nvmlDeviceGetCount_v2(ctypes.byref(count))
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    listed = visible.split(",") if visible is not None else [str(i) for i in range(count.value)]
    handles = []
    for index in (int(word) for word in listed if word.strip().isdigit()):
        handle, value = ctypes.c_void_p(), ctypes.c_ulonglong()
        if library.nvmlDeviceGetHandleByIndex_v2(index, ctypes.byref(handle)) == 0 and (
            library.nvmlDeviceGetTotalEnergyConsumption(handle, ctypes.byref(value)) == 0
        ):
            handles.append(handle)
    return handles
