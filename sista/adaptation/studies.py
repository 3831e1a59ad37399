"""Films with their reports, as pre-training saw them: what retrieval and grounding share."""

from collections.abc import Sequence
from typing import Any

import pandas as pd

from sista.adaptation.task import HeadTask
from sista.engine.pairs import Pairs, pairs_of


class StudyTask(HeadTask):
    """A data set with reports, seen by a head that is not trained.

    Images are cut out as pre-training cut them, whatever the protocol's zoom.
    """

    @staticmethod
    def annotated(manifest: pd.DataFrame, meta: dict[str, Any]) -> "pd.Series[bool]":
        """Return the images that have a report."""
        return manifest["report"].notna()

    @property
    def labels(self) -> tuple[str, ...]:
        """No label is given."""
        return ()

    def refusal(self, rows: Sequence[int]) -> str | None:
        """Nothing is trained, so nothing is refused."""
        return None

    def samples(self, rows: Sequence[int]) -> Any:
        """There are no targets of training."""
        return None

    def pairs(self, rows: Sequence[int], size: int) -> Pairs:
        """Return the studies of these rows with images reduced to `size` pixels."""
        frame = self.frame.iloc[list(rows)].reset_index(drop=True)
        return pairs_of(frame, self.meta, self.manifest.with_suffix(".images.npy"), size)
