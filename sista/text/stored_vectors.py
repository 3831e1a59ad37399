"""Report vectors on disk: made once per corpus and encoder, then read by every run.

A file is named by the hash of all that decides its content: texts or labels, encoder, form of the
text, the code that makes vectors and the versions of its libraries. So no file is ever out of date,
and two jobs that make the same one write the same bytes.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sista import registry
from sista.files import atomic, sha256
from sista.runs.arrays import read_arrays
from sista.text.report_encoders import LABELS, RULE_LABELS, TFIDF, encode, looks_at
from sista.text.similarity import Matrix, ReportText
from sista.text.transformer import weights_hash

FOLDER = "similarity"


def stored_vectors(
    folder: Path,
    reports: Sequence[str],
    labels: NDArray[np.float64],
    encoder: str,
    text: ReportText = "cleaned",
    corpus: Sequence[str] | None = None,
) -> Matrix:
    """Return the vectors `[N, D]` of reports, from disk where they were made before.

    Args:
        folder: of the prepared corpus; the files lie below it in `similarity`.
        reports: N clean report texts.
        labels: `[N, C]` finding labels.
        encoder: a word of `sista.text.report_encoders`.
        text: form of the text that it looks at.
        corpus: reports whose words `tfidf` counts; by default the reports themselves.
    """
    content: list[object] = [encoder, looks_at(encoder, reports, labels, text)]
    if encoder == TFIDF and corpus is not None:
        content.append(looks_at(encoder, corpus, labels, text))
    file = folder / FOLDER / f"{_file_word(encoder)}.{_name(encoder, content)}.npz"
    stored = _read(file)
    if stored is not None:
        return stored
    vectors = encode(encoder, reports, labels, text, corpus)
    try:
        _write(file, vectors)
    # A full disk or a folder without write access costs time, not the run.
    except OSError as error:
        warnings.warn(f"{file}: not kept, so each run makes it again ({error})", stacklevel=2)
    return vectors


def _file_word(encoder: str) -> str:
    return re.sub(r"[^\w-]+", "_", Path(encoder).name) or "encoder"


def _name(encoder: str, content: object) -> str:
    """Return 16 hex digits that change with anything the vectors depend on."""
    root = registry.PACKAGE.parent
    code = [sha256(root / file) for file in registry.module_sources("sista.text.report_encoders")]
    libraries = [version(name) for name in ("numpy", "scipy", "scikit-learn")]
    if encoder not in (TFIDF, LABELS, RULE_LABELS):
        libraries += [version("torch"), version("transformers"), weights_hash(encoder)]
    text = json.dumps([content, code, libraries])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _read(file: Path) -> Matrix | None:
    try:
        stored = read_arrays(file)
        if "rows" in stored:
            return stored["rows"]
        parts = tuple(stored[name] for name in ("data", "indices", "indptr"))
        made = sparse.csr_matrix(parts, shape=tuple(stored["shape"]))
        # What multiplies them believes the indices.
        made.check_format(full_check=True)
        return made
    except FileNotFoundError:
        return None
    except (OSError, ValueError, KeyError, TypeError):
        # A broken file is written anew.
        return None


def _write(file: Path, vectors: Matrix) -> None:
    parts: dict[str, Any] = {"rows": vectors}
    if sparse.issparse(vectors):
        parts = {name: getattr(vectors, name) for name in ("data", "indices", "indptr")}
        parts["shape"] = np.array(vectors.shape)
    with atomic(file) as temporary:
        np.savez(temporary, **parts)
