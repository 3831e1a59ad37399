"""Objectives as pure functions on tensors; this file only re-exports them."""

from sista.losses.gloria import gloria_global, gloria_local
from sista.losses.info_nce import info_nce
from sista.losses.mgca import cpa, cta
from sista.losses.sia import sia
from sista.losses.sinkhorn import sinkhorn
from sista.losses.sta import Form, sta
from sista.losses.sta_images import Pairs, sta_batch, sta_images
from sista.losses.sta_words import sta_words

__all__ = [
    "Form",
    "Pairs",
    "cpa",
    "cta",
    "gloria_global",
    "gloria_local",
    "info_nce",
    "sia",
    "sinkhorn",
    "sta",
    "sta_batch",
    "sta_images",
    "sta_words",
]
