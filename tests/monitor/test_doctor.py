"""What a machine has, and what each grid would need of it."""

from pathlib import Path

import pytest

from sista.errors import UserError
from sista.monitor.doctor import doctor
from tests.conftest import ROOT


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path):
    """Return a function that gives what the verb prints, with only these programs on the PATH."""

    def run(programs: dict[str, str], **options: Path) -> str:
        for name, script in programs.items():
            (tmp_path / name).write_text(f"#!/bin/sh\n{script}\n")
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
        doctor(**options)
        return " ".join(capsys.readouterr().out.split())

    return run


def test_programs_are_asked(told, monkeypatch):
    monkeypatch.delenv("SISTA_DATA", raising=False)
    programs = {"nvidia-smi": "echo 'NVIDIA X, 80 GiB'", "conda": "echo broken >&2; exit 3"}
    printed = told(programs, grids=ROOT / "benchmarks" / "smoke.yaml")
    assert "GPU NVIDIA X, 80 GiB" in printed
    assert "conda conda fails: broken" in printed
    assert "SISTA_DATA not set: only the phantom runs" in printed
    assert "smoke.yaml can run here (3 fetch," in printed
    assert "time not measured; disk 0.3 GB for prepared films" in printed
    printed = told({}, grids=ROOT / "benchmarks" / "processor.yaml")
    # 6 x 131 + 6 x (15 + 55 + 99) + 3 x 81 seconds.
    assert "about 34 minutes of one busy CPU core, half of it on a quiet one; disk" in printed
    assert "memory 1.5 GB a job" in printed


def test_each_grid_says_what_it_lacks(told, monkeypatch, tmp_path):
    monkeypatch.setenv("SISTA_DATA", str(tmp_path))
    (tmp_path / "siim_acr").mkdir()
    (tmp_path / "grids").mkdir()
    paper = (ROOT / "benchmarks" / "paper.yaml").read_text()
    (tmp_path / "grids" / "paper.yaml").write_text(paper)
    (tmp_path / "grids" / "broken.yaml").write_text("title: [")
    printed = told({}, grids=tmp_path / "grids")
    assert "siim_acr not usable:" in printed
    assert "paper.yaml lacks 6 sources: sista check --grid" in printed
    assert "broken.yaml cannot be read:" in printed
    assert "time not measured; disk" in printed
    assert "memory 8 GB a job; a GPU" in printed


def test_a_folder_without_grids_is_an_error(tmp_path):
    with pytest.raises(UserError, match="holds no grid file"):
        doctor(grids=tmp_path)
