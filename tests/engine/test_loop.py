import os
import signal

import pytest
import torch

from sista import registry
from sista.engine.state import Interrupted, StateFile, StopSignals
from tests.made_up_pairs import trainer

METHODS = [n for n in registry.names("methods") if registry.find("methods", n)().needs.trained]
# Two epochs of three steps.
STEPS = 6


def fit(path, *arguments, stop_after=None, how="kill", save_every=1, **changes):
    """Train, ended after some steps in one way or another; return the trainer and its log."""
    made, source = trainer(*arguments, **changes)
    step, done = made.step, [0]

    def counted(*parts):
        result = step(*parts)
        done[0] += 1
        if done[0] == stop_after and how != "kill":
            os.kill(os.getpid(), how)
        return result

    def killed(*parts):
        if done[0] == stop_after and how == "kill":
            raise KeyboardInterrupt
        return counted(*parts)

    made.step = killed
    log = made.fit(source, source, path, "one", save_every)
    return made, log, done[0]


def bits(made):
    states = (made.model.state_dict(), made.objective.state_dict())
    flat = {f"{n}.{k}": v.clone() for n, state in enumerate(states) for k, v in state.items()}
    for number, value in made.optimiser.state_dict()["state"].items():
        flat |= {f"optimiser.{number}.{k}": v.clone() for k, v in value.items()}
    return flat


def assert_same_bits(one, other):
    (made, log, _), (resumed, other_log, _) = one, other
    theirs = bits(resumed)
    for name, value in bits(made).items():
        assert torch.equal(value, theirs[name]), name
    timeless = [[{**e, "seconds": 0} for e in entries] for entries in (log, other_log)]
    assert timeless[0] == timeless[1]


@pytest.mark.parametrize("stop_after", range(1, STEPS))
def test_a_run_killed_at_any_step_ends_with_the_same_bits(tmp_path, stop_after):
    whole = fit(tmp_path / "whole.pt", "sista", "resnet")
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "resume.safetensors", "sista", "resnet", stop_after=stop_after)
    resumed = fit(tmp_path / "resume.safetensors", "sista", "resnet")
    assert resumed[2] == STEPS - stop_after
    assert_same_bits(whole, resumed)


@pytest.mark.parametrize("method", METHODS)
def test_every_method_resumes_in_the_middle_of_an_epoch(tmp_path, method):
    encoder = ("vit", "resnet")[METHODS.index(method) % 2]
    whole = fit(tmp_path / "whole.pt", method, encoder)
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "resume.safetensors", method, encoder, stop_after=4)
    assert_same_bits(whole, fit(tmp_path / "resume.safetensors", method, encoder))


@pytest.mark.parametrize(
    "changes",
    [{"dropout": 0.3, "chunk": 3}, {"precision": "fp16"}, {"precision": "bf16"}],
    ids=["dropout", "fp16", "bf16"],
)
@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGUSR1])
def test_a_signal_saves_the_step_and_asks_to_be_started_again(tmp_path, changes, how):
    whole = fit(tmp_path / "whole.pt", "sista", "vit", **changes)
    before = signal.getsignal(how)
    with pytest.raises(Interrupted) as ended:
        fit(tmp_path / "s.pt", "sista", "vit", stop_after=2, how=how, save_every=99, **changes)
    assert ended.value.code == 75
    assert signal.getsignal(how) is before
    resumed = fit(tmp_path / "s.pt", "sista", "vit", **changes)
    assert resumed[2] == STEPS - 2
    assert_same_bits(whole, resumed)


def test_between_saves_only_the_last_steps_are_lost(tmp_path):
    with pytest.raises(KeyboardInterrupt):
        fit(tmp_path / "s.pt", "clip", "vit", stop_after=5, save_every=99)
    assert fit(tmp_path / "s.pt", "clip", "vit")[2] == 3


def test_a_state_of_another_identity_is_not_used(tmp_path):
    made, _, _ = fit(tmp_path / "s.pt", "clip", "vit")
    other = StateFile(tmp_path / "s.pt", "other", {"model": made.model})
    assert other.load(torch.device("cpu")).epoch == 0
    same = StateFile(tmp_path / "s.pt", "one", made.state_file(tmp_path / "s.pt").parts)
    assert same.load(torch.device("cpu")).epoch == 2


def test_signals_are_noted_only_while_training():
    with StopSignals() as signals:
        assert not signals.asked
        os.kill(os.getpid(), signal.SIGTERM)
        assert signals.asked
    assert signal.getsignal(signal.SIGTERM) is not signals._note


def stopped(path, losses, patience, stop_after=None):
    """Train with scripted validation losses; return the weights after each epoch too."""
    made, source = trainer("clip", "vit", epochs=len(losses), patience=patience)
    weights = {}

    def validated(*_):
        epoch = made.progress.epoch
        weights[epoch] = bits(made)
        return {"val_loss": losses[epoch]}

    made._validated = validated
    if stop_after is not None:
        end = made._end_epoch

        def ended(epoch, *rest):
            end(epoch, *rest)
            if epoch == stop_after:
                raise KeyboardInterrupt

        made._end_epoch = ended
    return made, made.fit(source, source, path, "one"), weights


def model_bits(found):
    return {k: v for k, v in found.items() if not k.startswith("optimiser")}


@pytest.mark.parametrize(
    ("losses", "patience", "epochs", "best"),
    [
        ([3.0, 1.0, 2.0, 2.0, 0.5], 2, 4, 1),
        ([3.0, 1.0, 2.0, 0.5, 0.6], 2, 5, 3),
        ([3.0, 1.0, 2.0, 2.0, 0.5], 0, 5, 4),
        ([1.0, float("nan"), float("nan"), 0.5], 2, 3, 0),
        ([1.0, 1.0, 1.0], 2, 3, 0),
    ],
)
def test_early_stopping_keeps_the_best_epoch(tmp_path, losses, patience, epochs, best):
    made, log, weights = stopped(tmp_path / "s.pt", losses, patience)
    assert len(log) == epochs
    expected = model_bits(weights[best])
    found = model_bits(bits(made))
    assert all(torch.equal(found[k], v) for k, v in expected.items())
    if best + 1 < epochs:
        last = model_bits(weights[epochs - 1])
        assert any(not torch.equal(found[k], v) for k, v in last.items())


def test_early_stopping_goes_on_after_a_kill(tmp_path):
    losses = [3.0, 1.0, 2.0, 2.0, 0.5]
    whole = stopped(tmp_path / "whole.pt", losses, 2)
    with pytest.raises(KeyboardInterrupt):
        stopped(tmp_path / "s.pt", losses, 2, stop_after=2)
    made, log, _ = stopped(tmp_path / "s.pt", losses, 2)
    assert len(log) == 4
    expected = model_bits(bits(whole[0]))
    assert all(torch.equal(v, expected[k]) for k, v in model_bits(bits(made)).items())
    # Started once more when it had stopped already, it trains no further.
    assert len(stopped(tmp_path / "s.pt", losses, 2)[1]) == 4


def test_the_learning_rate_warms_up_and_falls_as_a_cosine():
    made, _ = trainer("clip", "vit", epochs=10, warmup=0.1, learning_rate=1.0)
    rates = [made._rate(n, 10) for n in range(100)]
    assert rates[:10] == pytest.approx([(n + 1) / 10 for n in range(10)])
    assert rates[10] == 1.0
    assert rates[55] == pytest.approx(0.5)
    assert sorted(rates[10:], reverse=True) == rates[10:]
    assert 0 < rates[-1] < 0.001
