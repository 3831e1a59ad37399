"""A prepared corpus on disk: the files that a pre-training run reads. No torch."""

from dataclasses import dataclass
from pathlib import Path

from sista import tables
from sista.errors import UserError


@dataclass(frozen=True)
class Corpus:
    """A prepared data set with one of its splits.

    Attributes:
        manifest: its rows; what else was prepared lies beside it.
        split: which studies train and which validate.
    """

    manifest: Path
    split: Path

    @property
    def images(self) -> Path:
        """Container of the prepared images."""
        return self.manifest.with_suffix(".images.npy")

    @property
    def vocabulary(self) -> Path:
        """Word pieces of its reports; a corpus without reports has none."""
        return self.manifest.with_suffix(".vocabulary.json")

    def files(self) -> list[Path]:
        """Return the files that are there.

        Raises:
            UserError: manifest or split is missing.
        """
        for path in (self.manifest, self.split):
            if not path.is_file():
                raise UserError(f"{path}: no such file; run prepare first")
        beside = (path for path in (self.images, self.vocabulary) if path.is_file())
        return [self.manifest, self.split, *beside]

    def check(self, word: str) -> None:
        """Refuse a manifest of another data set: its word would be recorded for what was not read.

        Args:
            word: reference of the data set.

        Raises:
            UserError: names both.
        """
        own = tables.read_meta(self.manifest, "manifest").get("dataset")
        if own != word:
            raise UserError(
                f"{self.manifest}: is of data set {own}, asked for {word}; give the manifest of "
                "that data set, or its word with --corpus"
            )
