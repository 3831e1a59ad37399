"""Report vectors on disk: made once per corpus and encoder, then read by every run.

A file is named by the hash of all that decides its content: texts or labels, encoder, form of the
text, the code that makes vectors and the versions of its libraries. So no file is ever out of date,
and two jobs that make the same one write the same bytes.
"""

import hashlib
import json
import warnings
import zipfile
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sista import registry
from sista.files import atomic, sha256
from sista.reports.similarity import ReportText, label_vectors, tfidf_vectors

FOLDER = "similarity"


def stored_vectors(
    folder: Path,
    reports: Sequence[str],
    labels: NDArray[np.float64],
    encoder: str,
    text: ReportText = "cleaned",
) -> sparse.csr_matrix | sparse.csr_array:
    """Return the vectors `[N, D]` of reports, from disk where they were made before.

    Args:
        folder: of the prepared corpus; the files lie below it in `similarity`.
        reports: N clean report texts.
        labels: `[N, C]` finding labels; only the encoder `labels` looks at them.
        encoder: `tfidf` or `labels`.
        text: form of the text that `tfidf` looks at.
    """
    content = labels.tolist() if encoder == "labels" else [text, *reports]
    name = _name(encoder, content)
    file = folder / FOLDER / f"{encoder}.{name}.npz"
    found = _read(file)
    if found is not None:
        return found
    made = label_vectors(labels) if encoder == "labels" else tfidf_vectors(reports, text)
    try:
        _write(file, made)
    except OSError as error:
        warnings.warn(f"{file}: not kept, so each run makes it again ({error})", stacklevel=2)
    return made


def _name(encoder: str, content: object) -> str:
    """Return 16 hex digits that change with anything the vectors depend on."""
    root = registry.PACKAGE.parent
    code = [sha256(root / file) for file in registry.module_sources("sista.reports.similarity")]
    libraries = [version(name) for name in ("numpy", "scipy", "scikit-learn")]
    text = json.dumps([encoder, content, code, libraries])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(file: Path) -> sparse.csr_matrix | None:
    try:
        with file.open("rb") as stream, np.load(stream) as stored:
            parts = tuple(stored[name] for name in ("data", "indices", "indptr"))
            return sparse.csr_matrix(parts, shape=tuple(stored["shape"]))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, zipfile.BadZipFile):
        # A broken file is written anew.
        return None


def _write(file: Path, vectors: sparse.csr_matrix | sparse.csr_array) -> None:
    with atomic(file) as temporary:
        np.savez(
            temporary,
            data=vectors.data,
            indices=vectors.indices,
            indptr=vectors.indptr,
            shape=np.array(vectors.shape),
        )
