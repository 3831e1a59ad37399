"""The control that reads no report at its token level."""

import torch

from sista import registry
from sista.losses import info_nce, sta
from sista.losses.sta import Form
from tests.methods.test_methods import SPECS, batch, build


def test_its_parts_are_those_of_clip_and_of_the_literal_token_level():
    objective, model = build("random_queries", SPECS[0], w_sta=0.5, queries=7)
    e = model(batch())
    parts = objective(e)
    instance = info_nce(e.image, e.report, temperature=objective.temperature())
    queries = objective.queries.expand(6, -1, -1)
    every = torch.ones(6, 7, dtype=torch.bool)
    token = sta(e.patches, queries, every, temperature=0.07, form=Form("minmax"))
    torch.testing.assert_close(parts["loss"], instance + 0.5 * token)
    assert e.words is None


def test_it_starts_from_the_encoder_that_clip_starts_from():
    first = {}
    for method in ("clip", "random_queries"):
        first[method] = build(method, SPECS[0])[1].image.state_dict()
    assert all(torch.equal(v, first["clip"][k]) for k, v in first["random_queries"].items())


def test_the_queries_depend_on_the_seed_and_travel_in_the_checkpoint():
    torch.manual_seed(0)
    one = registry.find("methods", "random_queries")()
    torch.manual_seed(1)
    other = registry.find("methods", "random_queries")()
    assert not torch.equal(one.queries, other.queries)
    assert "queries" in one.state_dict()
