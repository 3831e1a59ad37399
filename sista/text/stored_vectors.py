"""Report vectors on disk: made once per corpus and encoder, then read by every run.

What is kept is a folder of arrays, mapped into memory, so that the processes of a machine share
them. It is named by the hash of all that decides its content: texts or labels, encoder, form of the
text, the code that makes vectors and the versions of its libraries. So none is ever out of date,
and two jobs that make the same one write the same bytes.
"""

import hashlib
import json
import re
import warnings
from collections.abc import Iterable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from sista import registry
from sista.errors import UserError
from sista.files import atomic, sha256
from sista.runs.alone import alone
from sista.runs.arrays import read_folder
from sista.text.report_encoders import LABELS, RULE_LABELS, TFIDF, encode
from sista.text.similarity import Matrix, ReportText
from sista.text.transformer import weights_hash

FOLDER = "similarity"
# Of a sparse matrix, row by row.
PARTS = ("data", "indices", "indptr")


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
    content: list[object] = [encoder, _seen(encoder, reports, labels, text)]
    if encoder == TFIDF and corpus is not None:
        content.append(_seen(encoder, corpus, labels, text))
    kept = folder / FOLDER / f"{_file_word(encoder)}.{_name(encoder, content)}"
    stored = _read(kept)
    if stored is not None:
        return stored
    vectors = encode(encoder, reports, labels, text, corpus)
    try:
        with alone(kept):
            # All processes of a run have encoded the same; one of them keeps it.
            if _read(kept) is None:
                _write(kept, vectors)
    # A full disk or a folder without write access costs time, not the run.
    except (OSError, UserError) as error:
        warnings.warn(f"{kept}: not kept, so each run makes it again ({error})", stacklevel=2)
    return vectors


def _seen(
    encoder: str, reports: Sequence[str], labels: NDArray[np.float64], text: ReportText
) -> list[str]:
    """Return a name of all that an encoder may look at, besides what it is.

    Whole reports, also where it looks at a part: to find that part in each of a large corpus takes
    longer than to start.
    """
    if encoder == LABELS and not np.isnan(labels).all():
        # NaN has no equal, not even in a hash.
        known = np.nan_to_num(labels, nan=-9.0)
        return [hashlib.sha256(known.tobytes()).hexdigest(), str(known.shape)]
    form = "" if encoder in (LABELS, RULE_LABELS) else text
    return [form, texts_hash(reports)]


def texts_hash(texts: Iterable[str]) -> str:
    """Return 64 hex digits of texts and where each begins."""
    whole = hashlib.sha256()
    for text in texts:
        encoded = text.encode("utf-8", "surrogatepass")
        whole.update(len(encoded).to_bytes(8, "little"))
        whole.update(encoded)
    return whole.hexdigest()


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


def _read(kept: Path) -> Matrix | None:
    try:
        if (kept / "rows.npy").exists():
            rows: NDArray[np.float32] = read_folder(kept, ["rows"])["rows"]
            return rows
        stored = read_folder(kept, (*PARTS, "shape"))
        parts = tuple(stored[name] for name in PARTS)
        made = sparse.csr_matrix(parts, shape=tuple(stored["shape"].tolist()))
        # What multiplies them believes the indices.
        made.check_format(full_check=True)
        return made
    except (OSError, ValueError, KeyError, TypeError):
        # What is broken, or not there, is written anew.
        return None


def _write(kept: Path, vectors: Matrix) -> None:
    parts: dict[str, Any] = {"rows": vectors}
    if sparse.issparse(vectors):
        parts = {name: getattr(vectors, name) for name in PARTS}
        parts["shape"] = np.array(vectors.shape)
    with atomic(kept) as temporary:
        temporary.mkdir()
        for name, part in parts.items():
            np.save(temporary / f"{name}.npy", part)
