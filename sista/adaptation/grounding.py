"""Grounding: maps of phrases and of words over a film, beside the true regions of its findings.

The map of a phrase is Grad-CAM (Selvaraju et al. 2017, equations 1 and 2) of the cosine between
film and phrase, which any method with a report encoder has. The maps of words are those of the
method's own token level.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from sista import tables
from sista.adaptation.studies import StudyTask
from sista.encoders.image import normalise
from sista.engine.interface import Embedded, required
from sista.engine.pairs import Pairs
from sista.engine.restored import Restored
from sista.engine.views import centre
from sista.errors import UserError
from sista.metrics.grounding import region_share
from sista.metrics.swaps import other_patients
from sista.phantom.terms import TERMS
from sista.preparation.frame import Frame
from sista.preparation.masks import Mask, from_json
from sista.tasks._arrays import pack

# Points along a side of a cell at which the true region is looked up.
SAMPLES = 16
BATCH = 64


@dataclass(frozen=True)
class Pointer:
    """What the head gives: the restored run, and how maps are made.

    Attributes:
        run: restored from the checkpoint.
        phrases: sentences that name a finding; `{finding}` is replaced.
        stride: pixels a cell of the map of a phrase (a ViT has one patch size).
        swaps: films of other patients that each text is also shown.
    """

    run: Restored
    phrases: tuple[str, ...]
    stride: int
    swaps: int

    @torch.enable_grad()  # type: ignore[untyped-decorator]
    def phrase_maps(self, pairs: Pairs, findings: Sequence[str]) -> dict[str, NDArray[np.float32]]:
        """Return the map of each finding's phrases on every film, `[N, P]` >= 0."""
        phrases = {finding: self._phrase_vector(finding) for finding in findings}
        image = self.run.model.image
        maps: dict[str, list[Tensor]] = {finding: [] for finding in findings}
        for start in range(0, len(pairs.frame), BATCH):
            rows = np.arange(start, min(start + BATCH, len(pairs.frame)))
            films = centre(pairs.images, rows, image.size, next(image.parameters()).device)
            # Encoded once for all findings: each then goes back to the layer, and no further.
            pooled, layer = self._encoded(normalise(films, image).requires_grad_())
            film = functional.normalize(self.run.model.image_head(pooled), dim=1)
            cells = self._cells(layer)
            for finding, phrase in phrases.items():
                # Films do not depend on each other, so the gradient of the sum is that of each.
                (slope,) = torch.autograd.grad((film @ phrase).sum(), layer, retain_graph=True)
                weight = self._cells(slope).mean(1, keepdim=True)
                maps[finding].append((weight * cells).sum(2).relu().detach())
        return {word: torch.cat(parts).float().cpu().numpy() for word, parts in maps.items()}

    def _phrase_vector(self, finding: str) -> Tensor:
        """Return the unit vector `[D]` of the mean of a finding's phrases."""
        name = _phrase(finding)
        vectors = self.run.embed_texts([text.format(finding=name) for text in self.phrases])
        return functional.normalize(vectors.mean(0), dim=0)

    def _encoded(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Return pooled features `[B, D]` and the layer whose cells are weighted.

        Of a ViT that is what its last block takes: behind it [CLS] looks at no patch any more, so
        the gradient at the last tokens would be 0.
        """
        image = self.run.model.image
        if image.family == "resnet":
            features = image(inputs)
            return features.pooled, features.maps[image.patch_map(self.stride)]
        seen: list[Tensor] = []
        last = image.body.blocks[-1]
        hook = last.register_forward_pre_hook(lambda _, given: seen.append(given[0]))
        try:
            pooled = image(inputs).pooled
        finally:
            hook.remove()
        return pooled, seen[0]

    def _cells(self, layer: Tensor) -> Tensor:
        """Return the cells `[B, P, C]` of a map `[B, C, h, w]` or of tokens `[B, N, C]`."""
        if layer.ndim == 4:
            return layer.flatten(2).transpose(1, 2)
        return layer[:, self.run.model.image.body.num_prefix_tokens :]


class GroundingTask(StudyTask):
    """Findings on films whose true regions are known."""

    @property
    def read(self) -> list[Path]:
        """Files beside manifest, split and images that the predictions depend on."""
        return [self.manifest.with_suffix(".regions.parquet")]

    def predictions(self, model: Pointer, rows: Sequence[int]) -> pd.DataFrame:
        """Return a row for each finding of each film; none where too few films can be compared."""
        patients = self.frame["patient_id"].iloc[list(rows)].nunique()
        return pd.DataFrame(list(self.predict(model, rows)) if patients > 1 else [])

    def predict(self, model: Any, rows: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield a row for each finding with a region on a film; forms without maps stay empty."""
        pairs = self.pairs(rows, model.run.stored_size)
        regions = self._regions(pairs)
        others = other_patients(pairs.frame["patient_id"].to_numpy(), model.swaps)
        phrases = model.phrase_maps(pairs, sorted({label for _, label in regions}))
        words = _word_maps(model.run, pairs, others)
        for (study, label), mask in regions.items():
            row = {**self.identity(rows[study]), "label": label}
            own = phrases[label]
            frame = self.geometry[rows[study]]
            row |= _form("phrase", mask, frame, own[study], own[others[:, study]])
            chosen = words.naming(study, label) if words else np.array([], np.int64)
            if words and len(chosen):
                maps = (words.own[study, chosen], words.other[:, study, chosen])
                row |= _form("words", mask, frame, *maps)
            else:
                row |= dict.fromkeys(("words", "words_other", "words_region"), "")
            yield row

    def _regions(self, pairs: Pairs) -> dict[tuple[int, str], Mask]:
        """Return the union of the regions of each (study, finding), at native size."""
        table, _ = tables.read(self.read[0], "regions")
        if not table["image_id"].isin(self.frame["image_id"]).any():
            raise UserError(
                f"{self.read[0]}: no true region of a finding on these films; give others (of "
                "the present data sets only phantoms know them)"
            )
        odd = ~table["label"].map(lambda name: name.isprintable() and 0 < len(name) <= 200)
        if (wrong := odd | ~table["image_id"].isin(self.frame["image_id"])).any():
            raise UserError(
                f"{self.read[0]}: row {int(wrong.argmax())}: a film that the manifest lacks, or a "
                "name that is none; run prepare again"
            )
        positions = {image: n for n, image in enumerate(pairs.frame["image_id"])}
        sizes = list(zip(pairs.frame["height"], pairs.frame["width"], strict=True))
        regions: dict[tuple[int, str], Mask] = {}
        for row in table[table["image_id"].isin(list(positions))].to_dict("records"):
            key = (positions[row["image_id"]], str(row["label"]))
            where = f"{self.read[0]}: region of {row['image_id']!r}"
            try:
                mask = from_json(row["mask"])
            except UserError as error:
                raise UserError(f"{where}: {error}; run prepare again") from error
            if mask.shape != sizes[key[0]] or not mask.any():
                told = "is empty, or has another size than its film"
                raise UserError(f"{where}: {told}; run prepare again")
            regions[key] = regions[key] | mask if key in regions else mask
        return regions


def _form(
    form: str, mask: Mask, frame: Frame, own: NDArray[np.float32], other: NDArray[np.float32]
) -> dict[str, str]:
    """Return the columns of one form of map: own, of other films, share of the region a cell."""
    grid = round(own.shape[-1] ** 0.5)
    points = (np.arange(grid * SAMPLES) + 0.5) / (grid * SAMPLES)
    square = frame.prepared_steps(points * frame.size)
    share = region_share(mask.astype(bool), *frame.native_pixels(square), grid)
    return {form: pack(own), f"{form}_other": pack(other), f"{form}_region": pack(share)}


@dataclass(frozen=True)
class _WordMaps:
    """Maps of the words of reports: own `[N, W, P]`, on other films `[S, N, W, P]`."""

    names: tuple[str, ...]
    ids: NDArray[np.int64]
    own: NDArray[np.float32]
    other: NDArray[np.float32]

    def naming(self, study: int, label: str) -> NDArray[np.int64]:
        """Return which words of a report name a finding."""
        named = TERMS.get(label, frozenset(_phrase(label).split()))
        wanted = [n for n, word in enumerate(self.names) if word in named]
        return np.flatnonzero(np.isin(self.ids[study], wanted))


def _phrase(label: str) -> str:
    """Return a finding's name as it stands in a sentence."""
    return label.replace("_", " ").lower()


@torch.no_grad()
def _word_maps(run: Restored, pairs: Pairs, others: NDArray[np.int64]) -> _WordMaps | None:
    """Return the maps of the method's own token level, or None where it has none."""
    table = run.tokens(list(pairs.frame["report"]))
    embedded = run.embed(pairs, table)
    own = _weights(run, embedded)
    if own is None or embedded.patches is None:
        return None
    patches = required(embedded.patches)
    shown = [_weights(run, embedded._replace(patches=patches[torch.from_numpy(o)])) for o in others]
    other = np.stack([maps for maps in shown if maps is not None])
    return _WordMaps(table.words, required(embedded.word_ids).cpu().numpy(), own, other)


def _weights(run: Restored, embedded: Embedded) -> NDArray[np.float32] | None:
    weights: Tensor | None = None
    if embedded.words is not None:
        weights = run.objective.word_patch_weights(embedded)
    return None if weights is None else weights.float().cpu().numpy()
