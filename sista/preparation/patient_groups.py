"""Patients that share an image (equal pixel hash) are one group, which no split takes apart."""

from collections.abc import Sequence


def groups(patients: Sequence[str], hashes: Sequence[str]) -> list[str]:
    """Return one group name per image: patients joined where they share a pixel hash."""
    parent: dict[str, str] = {patient: patient for patient in patients}

    def root(name: str) -> str:
        while parent[name] != name:
            parent[name] = parent[parent[name]]
            name = parent[name]
        return name

    owner: dict[str, str] = {}
    for patient, pixel_hash in zip(patients, hashes, strict=True):
        # Union-find with path halving; the smaller name is the root, whatever the order of rows.
        first, second = sorted((root(owner.setdefault(pixel_hash, patient)), root(patient)))
        parent[second] = first
    return [root(patient) for patient in patients]
