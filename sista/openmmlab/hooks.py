"""Hooks of a head's training: early stopping, and the state that a killed training resumes from."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch import nn

from sista.errors import UserError
from sista.runs.random_state import check_random_state, random_state, set_random_state
from sista.runs.saved_state import Stateful, alike, read_state, write_state


class EarlyStopping(Hook):  # type: ignore[misc]
    """Judge every epoch on the validation split; stop without progress; end on the best weights.

    Attributes:
        state: lowest value, epochs since then, and the weights that gave it.
    """

    priority = "NORMAL"

    def __init__(self, judge: Callable[[nn.Module], float], patience: int) -> None:
        self.judge = judge
        self.patience = patience
        self.state: dict[str, Any] = {"best": float("inf"), "waited": 0, "weights": None}

    def after_train_epoch(self, runner: Runner) -> None:
        """Compare the value of this epoch (lower is better) with the best one."""
        value = self.judge(runner.model)
        if value < self.state["best"] or self.state["weights"] is None:
            weights = copy.deepcopy(runner.model.state_dict())
            self.state.update(best=value, waited=0, weights=weights)
        else:
            self.state["waited"] += 1
        self.decide(runner)

    def decide(self, runner: Runner) -> None:
        """Tell the loop whether this was the last epoch."""
        runner.train_loop.stop_training = self.state["waited"] >= self.patience

    def after_train(self, runner: Runner) -> None:
        """Load the best weights."""
        if self.state["weights"] is not None:
            runner.model.load_state_dict(self.state["weights"])


class KeptState(Hook):  # type: ignore[misc]
    """Write after every epoch what a killed training needs to end with the same numbers.

    It stands in the place of mmengine's own checkpoints, which are pickles.

    Args:
        path: of the state.
        identity: of the training; a state of another identity is not used.
        stopping: judges the epochs; its state is kept too.
    """

    # After the epoch was judged.
    priority = "VERY_LOW"

    def __init__(self, path: Path, identity: str, stopping: EarlyStopping) -> None:
        self.path, self.identity, self.stopping = path, identity, stopping

    def after_train_epoch(self, runner: Runner) -> None:
        """Write the state, atomically."""
        facts = {
            # The loop counts it after its hooks.
            "epoch": runner.epoch + 1,
            "iter": runner.iter,
            "passes": runner.train_dataloader.passes,
            "stopping": self.stopping.state,
            "random": random_state(),
        }
        write_state(self.path, self.identity, facts, self._parts(runner))

    def take_over(self, runner: Runner) -> None:
        """Go on from the state of a killed training, where there is one."""

        def checked(facts: dict[str, Any]) -> dict[str, Any]:
            check_random_state(facts["random"])
            own = {"best": 0.0, "waited": 0, "weights": dict(runner.model.state_dict())}
            form = {"epoch": 1, "iter": 1, "passes": 1, "stopping": own, "random": facts["random"]}
            counts = (facts["epoch"], facts["iter"], facts["passes"], facts["stopping"]["waited"])
            if not alike(form, facts) or min(counts) < 0:
                raise UserError("its facts are of another form")
            return facts

        # Where the model is, the weights are taken to: `load_state_dict` copies.
        facts = read_state(
            self.path, self.identity, self._parts(runner), torch.device("cpu"), checked
        )
        if facts is None:
            return
        runner.train_loop._epoch, runner.train_loop._iter = facts["epoch"], facts["iter"]
        runner.train_dataloader.passes = facts["passes"]
        weights = runner.model.state_dict()
        weights.update(facts["stopping"]["weights"])
        self.stopping.state = facts["stopping"] | {"weights": weights}
        self.stopping.decide(runner)
        set_random_state(facts["random"])

    @staticmethod
    def _parts(runner: Runner) -> dict[str, Stateful]:
        return {"model": runner.model, "optimiser": runner.optim_wrapper.optimizer}
