"""Discs with reports, and an encoder that was pre-trained on them for a few steps."""

import pytest

from tests.blobs import blobs, taught, told


@pytest.fixture(scope="session")
def discs(tmp_path_factory):
    """The manifest."""
    return told(blobs(tmp_path_factory.mktemp("discs"), 36))


@pytest.fixture(scope="session")
def checkpoint(discs):
    """Of a method with both encoders and a token level."""
    return taught(discs, discs.parent / "resnet" / "encoder.safetensors")
