import numpy as np
import pytest

from autcar.commands import LABELS
from trainer.evaluation import STEERING_OF, evaluate, evaluate_steering, table

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
    found = evaluate(truth, predicted, ("a", "b", "c", "d"))
    assert found.accuracy == pytest.approx(4 / 7)
    assert found.balanced_accuracy == pytest.approx((3 / 4 + 1 / 2 + 0) / 3)
    assert (found.baseline_label, found.baseline_accuracy) == ("a", pytest.approx(4 / 7))
    b = found.per_class["b"]
    assert (b.precision, b.recall, b.support) == (pytest.approx(1 / 3), 0.5, 2)
    assert b.f1 == pytest.approx(0.4)
    assert found.per_class["c"].f1 == 0
    assert found.per_class["d"].support == 0
    assert found.confusion == [[3, 1, 0, 0], [0, 1, 1, 0], [0, 1, 0, 0], [0, 0, 0, 0]]


def test_nothing_or_different_lengths_cannot_be_compared():
    for truth, predicted in (([], []), ([1, 2], [1])):
        with pytest.raises(ValueError, match="predictions for"):
            evaluate(np.array(truth, int), np.array(predicted, int))


def test_the_table_names_what_is_there_and_the_baseline():
    text = table(evaluate(classes("stop", "stop"), classes("stop", "move_fast_forward")))
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
