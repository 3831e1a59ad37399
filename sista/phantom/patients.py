"""Patients and their studies; each patient is a function of (seed, layout, index) alone."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from sista.phantom.anatomy import Anatomy, sample_anatomy, sample_view
from sista.phantom.devices import sample_devices
from sista.phantom.findings import Finding, progress, sample_findings
from sista.phantom.presets import LAYOUTS, Preset
from sista.phantom.render import Film, render
from sista.phantom.reports import Report, write_report

PATTERNS = {
    "mimic_cxr": "hospital",
    "chexpert": "hospital",
    "rsna_pneumonia": "pneumonia",
    "siim_acr": "pneumothorax",
    "object_cxr": "foreign",
    "covidx": "covid",
    "nih_chestxray14": "nih",
    "vindr_cxr": "nih",
    "vinbigdata": "nih",
    "iu_xray": "hospital",
    "ms_cxr": "hospital",
    "padchest": "hospital",
    "chexpert_plus": "hospital",
    "chexlocalize": "hospital",
    "tbx11k": "pneumonia",
    "chestx_det10": "nih",
    "candid_ptx": "pneumothorax",
    "montgomery_shenzhen": "pneumonia",
    "jsrt": "nih",
    "rexgradient": "hospital",
}
# Number ranges keep patients of different layouts apart.
RANGE = 20000
STUDY_SHARES = (0.62, 0.23, 0.10, 0.05)
# Layouts that name no patients: one film each. IU X-Ray has one report a patient.
SINGLE = {
    "object_cxr",
    "vinbigdata",
    "iu_xray",
    "tbx11k",
    "chestx_det10",
    "montgomery_shenzhen",
    "jsrt",
}
SQUARE = {
    "rsna_pneumonia",
    "siim_acr",
    "nih_chestxray14",
    "tbx11k",
    "chestx_det10",
    "candid_ptx",
    "jsrt",
}


@dataclass(frozen=True)
class Study:
    """One study of a patient.

    Args:
        number: 0 for the first study of the patient.
        findings: what it shows.
        devices: support devices on the film.
        view: `PA` or `AP`.
        report: its report.
    """

    number: int
    findings: tuple[Finding, ...]
    devices: tuple[str, ...]
    view: str
    report: Report

    def shows(self, *kinds: str) -> bool:
        """Whether one of `kinds` is visible on the film."""
        return any(finding.visible and finding.kind in kinds for finding in self.findings)


@dataclass(frozen=True)
class Patient:
    """One patient of one layout.

    Args:
        seed: the preset's seed.
        layout: the layout's word.
        index: number of the patient within the layout, from 0.
        size: shorter side of the patient's films in pixels.
        anatomy: the chest.
        studies: in the order of time.
    """

    seed: int
    layout: str
    index: int
    size: int
    anatomy: Anatomy
    studies: tuple[Study, ...]

    @property
    def number(self) -> int:
        """Number that no patient of another layout has."""
        return RANGE * LAYOUTS.index(self.layout) + self.index + 1

    # Streams in use: 0 number of studies, 1 chest, findings and report, 2 films, 3 subset, 4 ids
    # and file flavours, 5 further views, 6 what one layout alone needs. A new use takes a new
    # number: a draw more in a shared stream would change every film after it.
    def rng(self, *stream: int) -> np.random.Generator:
        """Return a generator for one purpose of this patient."""
        return np.random.default_rng([self.seed, LAYOUTS.index(self.layout), self.index, *stream])

    def film(self, study: Study, image: int = 0) -> Film:
        """Draw one film of a study; `image` numbers repeated exposures."""
        rng = self.rng(2, study.number, image)
        view = sample_view(rng, self.size, self.layout in SQUARE)
        return render(view, self.anatomy, study.findings, study.devices, rng)


def study_count(preset: Preset, layout: str, index: int) -> int:
    """Return how many studies a patient has."""
    if layout in SINGLE:
        return 1
    rng = np.random.default_rng([preset.seed, LAYOUTS.index(layout), index, 0])
    return 1 + int(rng.choice(len(STUDY_SHARES), p=STUDY_SHARES))


def roster(preset: Preset, layout: str) -> Iterator[tuple[int, int]]:
    """Yield (patient index, number of studies) until the layout's count is reached."""
    left, index = preset.studies[layout], 0
    while left > 0:
        count = min(left, study_count(preset, layout, index))
        yield index, count
        left -= count
        index += 1


def make_patient(preset: Preset, layout: str, index: int, count: int) -> Patient:
    """Make a patient with `count` studies; films are drawn later."""
    rng = np.random.default_rng([preset.seed, LAYOUTS.index(layout), index, 1])
    anatomy = sample_anatomy(rng)
    studies: list[Study] = []
    for number in range(count):
        # Normal stays normal as often as disease stays: the share of normal studies is kept.
        if studies and rng.random() < 0.5:
            findings = progress(rng, studies[-1].findings)
        else:
            findings = sample_findings(rng, PATTERNS[layout], preset.normal_share)
        devices = sample_devices(rng)
        view = "AP" if (devices and rng.random() < 0.8) or rng.random() < 0.35 else "PA"
        report = write_report(rng, findings, devices, view, bool(studies))
        studies.append(Study(number, findings, devices, view, report))
    return Patient(preset.seed, layout, index, preset.size, anatomy, tuple(studies))
