import numpy as np
import pytest

from autcar.commands import LABELS
from autcar.errors import DataError
from trainer.data.heads import Heads


def softmax(logits):
    shares = np.exp(logits)
    return shares / shares.sum()


def test_the_commands_are_turn_strength_and_direction():
    heads = Heads.of_drive()
    assert heads.classes == LABELS
    named = [
        tuple(head.classes[i] for head, i in zip(heads.heads, row, strict=True))
        for row in heads.table.tolist()
    ]
    assert named[LABELS.index("left_light_forward")] == ("left", "light", "forward")
    assert named[LABELS.index("move_fast_forward")] == ("straight", "fast", "forward")
    assert named[LABELS.index("stop")] == ("straight", "none", "none")
    assert len(set(named)) == 12
    assert heads.table.dtype == np.int16


def test_folder_names_become_heads_with_numbers_in_their_order():
    names = ["blue_100_ellipse", "blue_21_box", "red_21_box", "red_3_ellipse"]
    heads = Heads.parse(names, ["color", "percentage", "shape"])
    assert [head.name for head in heads.heads] == ["color", "percentage", "shape"]
    assert [head.classes for head in heads.heads] == [
        ("blue", "red"),
        ("3", "21", "100"),
        ("box", "ellipse"),
    ]
    assert heads.classes == tuple(names)
    assert heads.split(np.array([3, 0])).tolist() == [[1, 0, 1], [0, 2, 1]]
    assert [head.name for head in Heads.parse(["a-1", "b-2"], separator="-").heads] == [
        "head1",
        "head2",
    ]


def test_joint_logits_are_the_product_of_the_heads_over_the_tuples_there_are():
    heads = Heads.parse(["a_1", "a_2", "b_1"])
    first, second = np.array([0.3, -1.0]), np.array([2.0, 0.5])
    joint = softmax(np.concatenate([first, second]) @ heads.mixer())
    products = np.array([softmax(first)[i] * softmax(second)[j] for i, j in heads.table])
    np.testing.assert_allclose(joint, products / products.sum(), rtol=1e-6)


@pytest.mark.parametrize(
    ("names", "head_names", "message"),
    [
        (["blue_1", "red"], None, r"class 'red' has 1 parts .*expected 2, head1_head2"),
        (["blue_1", "red_1_x"], ["color", "value"], r"'red_1_x' has 3 parts .*color_value"),
        (["blue_1", "red_"], None, "none may be empty"),
        (["blue_1", "red_1"], ["color", "value"], "'value' has nothing to tell apart"),
        (["blue_1", "red_2"], ["color", "color"], "each once"),
        (["blue_1", "red_2"], ["my color", "value"], "my color,value must be"),
        (["blue", "red"], None, "two or more names"),
        ([], None, "no classes"),
    ],
)
def test_names_that_do_not_parse_are_named(names, head_names, message):
    with pytest.raises(DataError, match=message):
        Heads.parse(names, head_names)
