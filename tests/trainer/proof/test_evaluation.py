import numpy as np
import pytest

from autcar.commands import LABELS
from trainer.data.heads import Heads
from trainer.proof.evaluation import STEERING_OF, evaluate, evaluate_steering, table

CLASS = {label: index for index, label in enumerate(LABELS)}


def classes(*labels):
    return np.array([CLASS[label] for label in labels])


def scores(*rows):
    """A row of 12 scores from each {label: score}."""
    found = np.zeros((len(rows), 12), np.float32)
    for row, given in enumerate(rows):
        for label, score in given.items():
            found[row, CLASS[label]] = score
    return found


def test_figures_worked_out_by_hand():
    truth = np.array([0, 0, 0, 0, 1, 1, 2])
    predicted = np.array([0, 0, 0, 1, 1, 2, 1])
    found = evaluate(truth, np.eye(4)[predicted], ("a", "b", "c", "d"))
    assert found.accuracy == pytest.approx(4 / 7)
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert (found.baseline_label, found.baseline_accuracy) == ("a", pytest.approx(4 / 7))
    b = found.per_class["b"]
    assert (b.precision, b.recall, b.support) == (pytest.approx(1 / 3), 0.5, 2)
    assert b.f1 == pytest.approx(0.4)
    assert found.per_class["c"].f1 == 0
    assert found.per_class["d"].support == 0
    assert found.confusion == [[3, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]
    assert found.last_accuracy is None
    assert "confusion" not in found.figures()
    assert found.figures()["calibration"] == {"error": pytest.approx(3 / 7)}


def test_the_truth_among_the_likeliest():
    answers = np.array([[0.5, 0.3, 0.2], [0.5, 0.3, 0.2], [0.2, 0.4, 0.4], [0.2, 0.4, 0.4]])
    assert evaluate(np.array([0, 2, 1, 2]), answers, ("a", "b", "c")).top == (0.5, 0.75, 1.0)
    assert evaluate(np.array([0, 1]), np.eye(2), ("a", "b")).top == (1.0, 1.0)


def test_repeating_the_label_of_the_frame_before():
    truth, before = np.array([0, 0, 1, 1]), np.array([-1, 0, 0, 1])
    found = evaluate(truth, np.eye(2)[truth], ("a", "b"), before=before)
    assert found.last_accuracy == pytest.approx(2 / 3)
    assert "the label of the frame before: 0.667" in table(found)
    nothing = evaluate(truth, np.eye(2)[truth], ("a", "b"), before=np.full(4, -1))
    assert nothing.last_accuracy is None


def test_each_part_of_a_tuple_is_scored_by_itself():
    names = ("blue_1", "blue_2", "red_1", "red_2")
    heads = Heads.parse(names, ("color", "number"))
    found = evaluate(np.array([0, 1, 2, 3]), np.eye(4)[[0, 0, 2, 0]], names, heads=heads)
    assert found.heads == {"color": 0.75, "number": 0.5}
    assert "color 0.750" in table(found)


def test_nothing_or_different_lengths_cannot_be_compared():
    for truth, predicted in (([], []), ([1, 2], [1])):
        with pytest.raises(ValueError, match="answers for"):
            evaluate(np.array(truth, int), np.zeros((len(predicted), 12)))


def test_the_table_names_what_is_there_and_the_baseline():
    text = table(evaluate(classes("stop", "stop"), scores({"stop": 1}, {"move_fast_forward": 1})))
    assert "stop" in text
    assert "left_light_forward" not in text
    assert "always stop: 1.000" in text


def test_every_forward_class_has_its_steering_and_no_other_has():
    named = {label: STEERING_OF[CLASS[label]] for label in LABELS}
    assert named["left_medium_forward"] == 0
    assert named["left_light_forward"] == 1
    assert named["move_fast_forward"] == named["move_medium_forward"] == 2
    assert named["right_light_forward"] == 3
    assert named["right_medium_forward"] == 4
    assert named["stop"] == -1
    assert all(named[label] == -1 for label in LABELS if label.endswith("backwards"))


def test_steering_asks_which_way_given_forward():
    truth = classes(
        "move_fast_forward",
        "left_light_forward",
        "left_medium_forward",
        "right_medium_forward",
        "stop",
        "move_medium_backwards",
    )
    found = evaluate_steering(
        truth,
        scores(
            # Fast and medium are one steering class: together they win.
            {"move_fast_forward": 0.3, "move_medium_forward": 0.3, "right_light_forward": 0.4},
            # Stop is no steering.
            {"stop": 0.9, "left_light_forward": 0.1},
            {"left_light_forward": 1},
            {"left_medium_forward": 1},
            {"left_medium_forward": 1},
            {"left_medium_forward": 1},
        ),
    )
    assert found is not None
    assert found.frames == 4
    assert found.accuracy == 0.5
    assert found.balanced_accuracy == 0.5
    assert found.within_one == 0.75
    assert found.baseline_accuracy == 0.25
    assert "within one class 0.750" in str(found)


def test_steering_needs_a_forward_frame():
    assert evaluate_steering(classes("stop"), scores({"stop": 1})) is None
