"""MGCA's heads and optimisers with what we think right: `mgca_v1` without its leaks and its costs.

Films are split by patient, 70/15/15 for every task where the source has no sets; all training
images of SIIM count; the loss of Dice is bounded; and no film is changed, so that the frozen
encoder sees each once (its features serve all heads) instead of 50 times. The rest is `mgca_v1`.
"""

from dataclasses import replace

from sista.protocols._base import Settings
from sista.protocols.mgca_v1 import mgca_v1


def _plain(task: str) -> Settings:
    return replace(mgca_v1.settings[task], augment="none", drop_last=False, head={})


mgca_fixed_v1 = replace(
    mgca_v1,
    word="mgca_fixed_v1",
    settings={task: _plain(task) for task in mgca_v1.settings},
    exceptions=tuple(each for each in mgca_v1.exceptions if "augment" not in each.changes),
    splits=(),
    differs={},
)
