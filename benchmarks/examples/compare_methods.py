"""Compare two methods from their predictions on the same films: difference, interval, p."""

import numpy as np

from sista.metrics.classification import auroc
from sista.metrics.intervals import paired_bootstrap_p, patient_weights, percentile_interval


def main() -> tuple[float, float, float, float]:
    """Return and print the difference of two made-up methods with its 95 % interval and p."""
    generator = np.random.default_rng(0)
    patients = [f"patient{n // 2}" for n in range(400)]  # two films each
    target = generator.integers(0, 2, 400).astype(float)
    first = target + generator.normal(0, 1.0, 400)
    second = target + generator.normal(0, 1.4, 400)
    # Once as it is, then 1,000 samples of patients, the same for both methods.
    weights = np.vstack([np.ones(400), patient_weights(patients, 1000)])
    difference = auroc(target, first, weights) - auroc(target, second, weights)
    low, high = percentile_interval(difference[1:])
    p = paired_bootstrap_p(difference[1:])
    print(
        f"AUROC {100 * difference[0]:+.1f} points [{100 * low:+.1f}, {100 * high:+.1f}], p {p:.3f}"
    )
    return float(difference[0]), low, high, p


if __name__ == "__main__":
    main()
