"""Objectives as pure functions on tensors; this file only re-exports them."""

from sista.losses.info_nce import info_nce
from sista.losses.sia import sia
from sista.losses.sta import sta
from sista.losses.sta_images import sta_images

__all__ = ["info_nce", "sia", "sta", "sta_images"]
