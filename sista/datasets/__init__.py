"""One file per data set: its card and its reader. What a reader needs is exported here."""

from sista.datasets._card import Dataset
from sista.preparation.image_record import ImageRecord, LeftOut

__all__ = ["Dataset", "ImageRecord", "LeftOut"]
