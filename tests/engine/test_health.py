"""Training that goes wrong says so; temperatures stay alive; diagnostics keep to chunks."""

import math
from dataclasses import replace

import pytest
import torch

from sista.engine.batches import part
from sista.engine.health import check_finite, left_at, plateau
from sista.engine.interface import Temperature
from sista.engine.sources import known_labels
from sista.engine.validation import validate
from sista.errors import UserError
from tests.made_up_pairs import BUDGET, trainer


def history(*losses):
    return [{"loss": torch.tensor(loss)} for loss in losses]


def test_a_loss_that_is_no_number_names_step_epoch_and_setting():
    check_finite(history(3.0, 2.0), 0, 2, BUDGET)
    with pytest.raises(UserError, match=r"became nan at step 12 \(epoch 4 of .*learning rate"):
        check_finite(history(3.0, 2.0, math.nan), 3, 3, _budget(epochs=9))
    with pytest.raises(UserError, match=r"became inf at step 1 .*--precision no"):
        check_finite(history(math.inf, math.nan), 0, 2, _budget(precision="bf16"))


def test_with_fp16_single_steps_may_overflow():
    half = _budget(precision="fp16")
    check_finite(history(3.0, math.nan, 2.0), 0, 3, half)
    with pytest.raises(UserError, match="precision fp16"):
        check_finite(history(3.0, 2.0, math.nan), 0, 3, half)


def _budget(**changes):
    return replace(BUDGET, **changes)


@pytest.mark.parametrize("save_every", [1, 500])
def test_a_run_that_diverges_stops_and_saves_nothing_of_it(tmp_path, save_every):
    made, source = trainer("clip", "resnet")
    step = made.step

    def broken(*arguments):
        parts = step(*arguments)
        return parts | {"loss": parts["loss"] * math.nan} if made.progress.epoch == 1 else parts

    made.step = broken
    with pytest.raises(UserError, match=r"the loss became nan at step 4 \(epoch 2"):
        made.fit(source, source, tmp_path / "resume.safetensors", "one", save_every)
    # The state is that of the last good step.
    again, _ = trainer("clip", "resnet")
    assert (
        again.state_file(tmp_path / "resume.safetensors", "one").load(torch.device("cpu")).epoch
        == 1
    )
    assert all(p.isfinite().all() for p in again.model.parameters())


@pytest.mark.parametrize(("start", "towards"), [(0.01, 1.0), (1.0, -1.0)])
def test_a_temperature_at_an_end_of_its_range_comes_back(start, towards):
    made, _ = trainer("clip", "resnet", settings={"temperature": start})
    temperature = made.temperatures[0]
    assert temperature().item() == pytest.approx(start, rel=1e-4)
    optimiser = torch.optim.SGD(temperature.parameters(), lr=10.0)
    for direction in (-towards, towards):
        optimiser.zero_grad()
        # Down, out of the range, then up again.
        (-direction * temperature()).backward()
        optimiser.step()
        temperature.keep_inside()
        assert 0.01 - 1e-6 <= temperature().item() <= 1.0
    assert abs(math.log(temperature().item() / start)) > 0.05


def test_every_learned_temperature_is_kept_inside_by_the_engine():
    made, source = trainer("prior", "resnet")
    assert len(made.temperatures) == 2
    for temperature in made.temperatures:
        with torch.no_grad():
            temperature.log.fill_(math.log(0.009))
    rows = torch.arange(len(source)).numpy()
    chunks = made.chunks(source, rows, 0, known_labels(source.pairs))
    made.step(chunks, source.alike(rows, made.device), 0)
    assert all(isinstance(t, Temperature) for t in made.temperatures)
    assert all(t().item() >= 0.01 - 1e-6 for t in made.temperatures)


@pytest.mark.parametrize("method", ["clip", "sista", "supervised", "simclr"])
def test_validation_embeds_in_chunks_and_says_the_same(method, monkeypatch):
    made, source = trainer(method, "resnet")
    batches = list(made.batches(source, known_labels(source.pairs)))
    seen = []
    encode = made.model.encode

    def counted(batch):
        seen.append(len(batch.images))
        return encode(batch)

    monkeypatch.setattr(made.model, "encode", counted)
    whole = validate(made.differentiate, batches)
    assert max(seen) > 2
    seen.clear()
    parts = validate(made.differentiate, batches, chunk=2)
    assert max(seen) == 2
    for name, value in whole.items():
        # The gradients at the tokens are of the first chunk alone.
        if "gradient" not in name:
            assert parts[name] == pytest.approx(value, rel=1e-4, abs=1e-5), name


def test_a_part_of_a_batch_holds_the_same_studies():
    made, source = trainer("sista", "resnet")
    batch = next(iter(made.batches(source, known_labels(source.pairs))))
    assert part(batch, slice(0, None)) is batch
    two = part(batch, slice(1, 3))
    assert torch.equal(two.images, batch.images[1:3])
    assert torch.equal(two.word_ids, batch.word_ids[1:3])
    assert torch.equal(two.similarity, batch.similarity[1:3, 1:3])
    assert sum(chunk.reports for chunk in two.chunks) == 2


def entries(*values):
    return [{"pair_auroc": value} for value in values]


def test_a_plateau_is_told_in_words():
    word, share, told = plateau(entries(0.5, 0.55, 0.7, 0.8, 0.9), 5)
    assert (word, share) == ("late", 0.6)
    assert told.startswith("LATE: ")
    word, share, told = plateau(entries(0.5, 0.7, 0.8, 0.8, 0.9), 5)
    assert (word, share) == ("left", 0.4)
    assert "after 40% of the budget (own pairs win 90%" in told
    word, share, told = plateau(entries(0.5, 0.7, 0.55), 3)
    assert (word, share) == ("stuck", None)
    assert told.startswith("STUCK: ")
    assert plateau(entries(math.nan, math.nan), 2)[:2] == (None, None)
    assert "cannot be told" in plateau(entries(math.nan), 1).told
    # Early stopping: a share of the budget, not of the epochs that were trained.
    assert plateau(entries(0.5, 0.7), 10).share == 0.2


def test_what_is_no_number_is_not_off_the_plateau():
    assert left_at([0.7, math.nan], lambda value: value > 0.6, 2) is None
    assert left_at([], lambda value: value > 0.6, 2) is None


@pytest.mark.parametrize("method", ["clip", "supervised", "simclr", "sista", "pixpro"])
def test_every_kind_of_method_logs_how_well_pairs_are_told_apart(method):
    made, source = trainer(method, "resnet")
    found = validate(made.differentiate, made.batches(source, known_labels(source.pairs)))
    assert 0 <= found["pair_auroc"] <= 1
