"""Objectives as pure functions on tensors; this file only re-exports them."""

from sista.losses.info_nce import info_nce
from sista.losses.sia import sia
from sista.losses.sta import Form, sta
from sista.losses.sta_images import Pairs, sta_batch, sta_images

__all__ = ["Form", "Pairs", "info_nce", "sia", "sta", "sta_batch", "sta_images"]
