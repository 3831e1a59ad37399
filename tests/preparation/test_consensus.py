import pytest

from sista.preparation.consensus import RULES, agreed_boxes, agreed_labels, needed
from sista.preparation.image_record import Box

NODULE = [Box("Nodule", 10, 10, 20, 20), Box("Nodule", 12, 8, 20, 20), Box("Nodule", 60, 60, 9, 9)]


@pytest.mark.parametrize(
    ("rule", "counts"), [("any", (1, 1, 1, 1)), ("majority", (1, 2, 2, 3)), ("all", (1, 2, 3, 5))]
)
def test_how_many_must_agree(rule, counts):
    assert tuple(needed(n, rule) for n in (1, 2, 3, 5)) == counts


def test_an_unknown_rule_names_the_known_ones():
    with pytest.raises(ValueError, match="valid: majority, any, all"):
        needed(3, "most")


def test_labels_of_three_readers():
    readings = [{"Edema": 1, "Nodule": 1}, {"Edema": 1, "Nodule": 0}, {"Edema": 1, "Mass": 0}]
    agreed = {rule: agreed_labels(readings, rule) for rule in RULES}
    assert agreed["any"] == {"Edema": 1, "Nodule": 1, "Mass": 0}
    assert agreed["majority"] == agreed["all"] == {"Edema": 1, "Nodule": 0, "Mass": 0}


def test_boxes_of_one_finding_become_their_mean():
    readings = [[NODULE[0]], [NODULE[1]], [NODULE[2]]]
    assert agreed_boxes(readings, "majority") == (Box("Nodule", 11, 9, 20, 20),)
    assert agreed_boxes(readings, "any") == (Box("Nodule", 11, 9, 20, 20), NODULE[2])
    assert agreed_boxes(readings, "all") == ()
    # A reader who marked nothing counts; the order of readers does not change what is agreed.
    assert agreed_boxes([[NODULE[0]], [], []], "majority") == ()
    assert agreed_boxes(readings[::-1], "majority") == (Box("Nodule", 11, 9, 20, 20),)


def test_another_label_or_the_same_reader_is_no_agreement():
    mass = Box("Mass", 10, 10, 20, 20)
    assert agreed_boxes([[NODULE[0]], [mass]], "all") == ()
    twice = agreed_boxes([[NODULE[0], NODULE[1]], []], "any")
    assert twice == (NODULE[0], NODULE[1])
    assert agreed_boxes([[NODULE[0], NODULE[1]], [], []], "majority") == ()
