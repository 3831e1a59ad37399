"""Energy counters: a made-up sysfs and a made-up NVML, since few machines have either."""

import ctypes

from sista.runs.energy import EnergyMeter


def zone(folder, name, microjoules, most=262_143_328_850):
    place = folder / name
    place.mkdir(exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoules}\n")
    (place / "max_energy_range_uj").write_text(f"{most}\n")


def test_packages_are_summed_without_their_parts(tmp_path):
    zone(tmp_path, "intel-rapl:0", 1_000_000)
    zone(tmp_path, "intel-rapl:1", 5_000_000)
    zone(tmp_path, "intel-rapl:0:0", 7_000_000)
    meter = EnergyMeter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 3_500_000)
    zone(tmp_path, "intel-rapl:1", 6_000_000)
    zone(tmp_path, "intel-rapl:0:0", 9_000_000)
    joules, note = meter.spent()
    assert joules == 3.5
    assert note.startswith("RAPL, 2 packages")


def test_a_counter_that_wraps_around_goes_on(tmp_path):
    zone(tmp_path, "intel-rapl:0", 9_000_000, most=10_000_000)
    meter = EnergyMeter(tmp_path)
    zone(tmp_path, "intel-rapl:0", 1_000_000, most=10_000_000)
    meter.poll()
    zone(tmp_path, "intel-rapl:0", 4_000_000, most=10_000_000)
    assert meter.spent()[0] == 5.0


def test_without_counters_there_is_a_reason(tmp_path):
    joules, note = EnergyMeter(tmp_path / "absent").spent()
    assert joules is None
    assert "no RAPL zone" in note


class Library:
    """One GPU that counts, one that does not."""

    def __init__(self):
        self.millijoules = 2000

    def nvmlDeviceGetCount_v2(self, count):  # noqa: N802
        ctypes.cast(count, ctypes.POINTER(ctypes.c_uint)).contents.value = 2

    def nvmlDeviceGetHandleByIndex_v2(self, index, handle):  # noqa: N802
        ctypes.cast(handle, ctypes.POINTER(ctypes.c_void_p)).contents.value = index + 1
        return 0

    def nvmlDeviceGetTotalEnergyConsumption(self, handle, value):  # noqa: N802
        if handle.value == 2:
            return 3
        pointer = ctypes.cast(value, ctypes.POINTER(ctypes.c_ulonglong))
        pointer.contents.value = self.millijoules
        return 0


def test_a_gpu_counts_millijoules(tmp_path, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    library = Library()
    meter = EnergyMeter(tmp_path / "absent", library)
    library.millijoules = 4500
    joules, note = meter.spent()
    assert joules == 2.5
    assert "NVML, 1 GPUs" in note
