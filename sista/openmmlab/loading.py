"""Import mmengine, mmsegmentation and mmdetection quietly and without their optional extras."""

import importlib
import importlib.util
import logging
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

# Imported by OpenMMLab at start for trackers, language models and plots which no head here uses.
# They cost two to three seconds in every job, so they are hidden while OpenMMLab is imported.
OPTIONAL = ("transformers", "seaborn", "sklearn", "cityscapesscripts", "lap")


@contextmanager
def quiet() -> Iterator[None]:
    """Silence warnings and log lines of OpenMMLab inside the block, and only there."""
    level = logging.root.manager.disable
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        logging.disable(logging.WARNING)
        try:
            yield
        finally:
            logging.disable(level)


@contextmanager
def hidden(*modules: str) -> Iterator[None]:
    """Make the import of optional `modules` fail inside the block, if they are not yet loaded."""
    absent = [name for name in modules if name not in sys.modules]
    for name in absent:
        sys.modules[name] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        for name in absent:
            sys.modules.pop(name, None)


def load_mmengine() -> None:
    """Import mmengine's runner."""
    _load("mmengine.runner")


def load_mmseg() -> None:
    """Import mmsegmentation's models, with the operators they need by name."""
    _load("mmengine.runner")
    # mmsegmentation takes mmdetection along for Mask2Former if it is there.
    _with_operators("mmseg.models", "mmdet")


def load_mmdet() -> None:
    """Import mmdetection's models, with the operators they need by name."""
    _load("mmengine.runner")
    _with_operators("mmdet.models")


def _with_operators(module: str, *without: str) -> None:
    from sista.openmmlab.operators import register_operators

    register_operators()
    _load(module, *without)


def _load(module: str, *without: str) -> None:
    if module not in sys.modules:
        with quiet(), hidden(*OPTIONAL, *without):
            importlib.import_module(module)
