import numpy as np
import pytest

from trainer.proof.calibration import calibrate


def test_the_error_worked_out_by_hand():
    # Four answers at 0.9, of which three are right; two at 0.6, both right.
    scores = np.array([[0.9, 0.1]] * 4 + [[0.4, 0.6]] * 2)
    found = calibrate(np.array([0, 0, 0, 1, 1, 1]), scores)
    assert found.error == pytest.approx((4 * abs(0.75 - 0.9) + 2 * abs(1 - 0.6)) / 6)
    assert [(one.frames, one.confidence, one.accuracy) for one in found.bins] == [
        (2, pytest.approx(0.6), 1.0),
        (4, pytest.approx(0.9), 0.75),
    ]


def test_answers_as_often_right_as_they_say_have_next_to_no_error():
    generator = np.random.default_rng(0)
    sure = generator.uniform(0.5, 1, 20_000)
    truth = (generator.random(20_000) > sure).astype(int)
    assert calibrate(truth, np.stack([sure, 1 - sure], 1)).error < 0.02


def test_certainty_falls_into_the_last_bin():
    (only,) = calibrate(np.array([0]), np.array([[1.0, 0.0]])).bins
    assert (only.frames, only.accuracy) == (1, 1.0)
