import numpy as np
import pytest

from trainer.data.balance import balance_indices, class_weights, describe_balance, describe_weights

LABELS = np.array([6] * 100 + [1] * 40 + [11] * 3, np.int16)


def test_rare_classes_are_repeated_up_to_the_commonest():
    indices = np.arange(len(LABELS))
    balanced = balance_indices(LABELS, indices)
    assert np.bincount(LABELS[balanced], minlength=12)[[1, 6, 11]].tolist() == [100, 100, 30]
    uses = np.bincount(balanced, minlength=len(LABELS))
    assert uses.min() >= 1
    assert set(uses[LABELS == 1]) == {2, 3}
    assert set(uses[LABELS == 11]) == {10}
    full = balance_indices(LABELS, indices, maximum_repeat=100)
    assert (LABELS[full] == 11).sum() == 100


def test_only_the_indices_given_are_used():
    indices = np.arange(50, 142)
    assert set(balance_indices(LABELS, indices)) == set(range(50, 142))
    assert len(balance_indices(LABELS, np.array([], np.int64))) == 0


def test_the_seed_decides():
    indices = np.arange(len(LABELS))
    first = balance_indices(LABELS, indices, 1)
    np.testing.assert_array_equal(first, balance_indices(LABELS, indices, 1))
    assert not np.array_equal(first, balance_indices(LABELS, indices, 2))


def test_it_says_what_it_did():
    indices = np.arange(len(LABELS))
    lines = describe_balance(LABELS, indices, balance_indices(LABELS, indices))
    assert lines == [
        "balanced by showing rare classes more often: 143 frames as 230",
        "stop stays rarer: 3 frames, 10 times each, are 30; the commonest has 100",
    ]


def test_weights_are_the_alternative():
    weights = class_weights(LABELS)
    assert weights.dtype == np.float32
    assert weights[[0, 1, 6, 11]] == pytest.approx([0, 2.5, 1, 10])
    assert class_weights(LABELS, maximum=100)[11] == pytest.approx(100 / 3)


def test_weights_are_told_for_the_classes_there_are():
    weights = class_weights(np.array([0, 0, 0, 0, 2], np.int16), classes=3)
    told = describe_weights(weights, ("a", "b", "c"))
    assert told == "balanced by weighing the losses of classes: a × 1, c × 4"
