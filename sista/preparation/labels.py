"""Label policies: what an uncertain (-1) or blank (NaN) finding means for training.

Policies are those of the CheXpert paper (Irvin et al., 2019) and of the mgca family protocol.
"""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]
# Uncertain counts as positive for these three and as negative for every other finding.
MIXED: Mapping[str, float] = {"Atelectasis": 1.0, "Edema": 1.0, "Pleural Effusion": 1.0}
POLICIES = ("as_is", "u_ones", "u_zeros", "mixed", "u_ignore", "u_ignore_blank_ignore")


def apply_policy(values: Values, names: Sequence[str], policy: str) -> Values:
    """Return training labels (1, 0 or NaN = leave out) of shape `[N, len(names)]`.

    Args:
        values: 1 positive, 0 negative, -1 uncertain, NaN blank; `[N, len(names)]`.
        names: the findings of the columns.
        policy: one of `POLICIES`. `as_is` keeps NaN and turns -1 into NaN.

    Raises:
        ValueError: unknown policy.
    """
    if policy not in POLICIES:
        raise ValueError(f"unknown label policy {policy!r}; valid: {', '.join(POLICIES)}")
    uncertain, blank = values == -1, np.isnan(values)
    result = values.astype(np.float64).copy()
    if policy in ("u_ones", "u_zeros", "mixed", "u_ignore"):
        # CheXpert's labeller leaves blank what a report does not mention: taken for absent.
        result[blank] = 0.0
    fill = {"u_ones": 1.0, "u_zeros": 0.0}.get(policy, np.nan)
    target = np.array([MIXED.get(n, 0.0) for n in names]) if policy == "mixed" else fill
    return np.where(uncertain, np.broadcast_to(target, values.shape), result)
