import math

import numpy as np
import pytest

from trainer.proof.comparison import compare, mcnemar


@pytest.mark.parametrize(
    ("only_a", "only_b", "p"),
    [
        (0, 0, 1.0),
        (5, 5, 1.0),
        (0, 5, 2 / 32),
        (10, 2, 2 * (1 + 12 + 66) / 2**12),
        (0, 10_000, 0.0),
    ],
)
def test_mcnemar_is_a_fair_coin(only_a, only_b, p):
    assert mcnemar(only_a, only_b) == pytest.approx(p, abs=1e-12)
    assert mcnemar(only_b, only_a) == mcnemar(only_a, only_b)


def test_mcnemar_of_many_frames_is_exact():
    exact = 2 * sum(math.comb(1000, k) for k in range(451)) / 2**1000
    assert mcnemar(550, 450) == pytest.approx(exact, rel=1e-9)


def made(frames, share_b, seed=0, twins=1):
    """Truth, and answers of A (right in half) and B, each repeated ``twins`` times."""
    generator = np.random.default_rng(seed)
    truth = generator.integers(0, 3, frames)
    a = np.where(generator.random(frames) < 0.5, truth, (truth + 1) % 3)
    b = np.where(generator.random(frames) < share_b, truth, (truth + 1) % 3)
    return [np.repeat(x, twins) for x in (truth, a, b)]


def test_a_better_model_is_told_from_a_luckier_one():
    truth, a, b = made(1000, 0.7)
    found = compare(truth, a, b, np.arange(1000) // 10)
    assert found.blocks == 100
    assert found.both + found.only_a + found.only_b + found.neither == 1000
    assert found.accuracy_difference == pytest.approx((b == truth).mean() - (a == truth).mean())
    assert found.verdict == "B is better"
    assert found.p < 0.001
    back = compare(truth, b, a, np.arange(1000) // 10)
    assert back.verdict == "A is better"
    assert back.balanced_difference == pytest.approx(-found.balanced_difference)


def test_equal_models_show_no_difference_but_for_one_time_in_twenty():
    verdicts = [
        compare(*made(400, 0.5, seed), np.arange(400) // 10).verdict for seed in range(100)
    ]
    assert sum(verdict.startswith("no difference") for verdict in verdicts) >= 88
    truth, a, _ = made(400, 0.5)
    assert compare(truth, a, a, np.arange(400) // 10).balanced_interval == (0, 0)


def test_twins_make_mcnemar_sure_but_not_the_blocks():
    """Sixty frames, each seen fifty times: no more is known than from sixty."""
    truth, a, b = made(60, 0.6, seed=3, twins=50)
    found = compare(truth, a, b, np.arange(3000) // 50)
    alone = compare(*made(60, 0.6, seed=3), np.arange(60))
    assert found.p < 1e-6 < alone.p
    width = found.accuracy_interval[1] - found.accuracy_interval[0]
    assert width == pytest.approx(alone.accuracy_interval[1] - alone.accuracy_interval[0], rel=0.1)


def test_too_few_blocks_tell_nothing():
    truth, a, b = made(300, 0.9)
    found = compare(truth, a, b, np.zeros(300, int))
    assert "too few blocks of time (1)" in found.verdict
    assert "too few" in str(found)


def test_balanced_accuracy_counts_a_rare_class_as_much():
    truth = np.array([0] * 90 + [1] * 10)
    a = np.zeros(100, int)
    found = compare(truth, a, truth, np.arange(100) // 5)
    assert found.accuracy_difference == pytest.approx(0.1)
    assert found.balanced_difference == pytest.approx(0.5)
