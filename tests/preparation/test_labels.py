import json
from pathlib import Path

import numpy as np
import pytest

from sista.preparation.labels import POLICIES, apply_policy

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/chexpert_labels.json").read_text())


@pytest.mark.parametrize("policy", [p for p in POLICIES if p != "as_is"])
def test_policies_are_those_of_the_reference(policy):
    tasks = GOLDEN["tasks"]
    values = np.array([[row[name] for name in tasks] for row in GOLDEN["rows"]], dtype=float)
    expected = np.array(GOLDEN["policies"][policy], dtype=float)
    np.testing.assert_array_equal(apply_policy(values, tasks, policy), expected)


def test_unknown_policy_is_answered_with_the_valid_ones():
    with pytest.raises(ValueError, match="u_zeros"):
        apply_policy(np.zeros((1, 1)), ["Edema"], "maybe")
