"""Films of other patients in the place of a study's own: the control of what looks at a film."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from sista.errors import UserError


def other_patients(patients: NDArray[Any], swaps: int) -> NDArray[np.int64]:
    """Return for each study `swaps` studies of other patients, `[swaps, N]`, spread evenly.

    Args:
        patients: `[N]`.
        swaps: how many.

    Raises:
        UserError: all studies are of one patient.
    """
    count = len(patients)
    if swaps and len(set(patients)) < 2:
        raise UserError("swapping films needs studies of two patients")
    swapped = np.zeros((swaps, count), np.int64)
    for swap in range(swaps):
        step = 1 + (swap * (count - 1)) // swaps
        other = (np.arange(count) + step) % count
        # Studies of a patient may stand side by side: go on to the next one's.
        while (same := patients[other] == patients).any():
            other = np.where(same, (other + 1) % count, other)
        swapped[swap] = other
    return swapped
