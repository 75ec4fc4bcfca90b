import math

import numpy as np
import pytest

from edge.histogram import Histogram


def test_quantiles_are_right_within_a_bucket():
    histogram = Histogram()
    values = np.random.default_rng(0).lognormal(0, 1, 10_000)
    for value in values:
        histogram.add(float(value))
    for share in (0.01, 0.5, 0.95, 0.999):
        assert histogram.quantile(share) == pytest.approx(np.quantile(values, share), rel=0.02)
    assert histogram.facts()["max"] == pytest.approx(values.max(), abs=1e-4)


def test_memory_does_not_grow_with_the_run():
    histogram = Histogram()
    for number in range(100_000):
        histogram.add(1 + number % 10)
    assert len(histogram._counts) == 10


def test_nothing_and_next_to_nothing():
    histogram = Histogram()
    assert math.isnan(histogram.median)
    assert histogram.facts() == {"count": 0}
    histogram.add(0.0)
    assert histogram.median == pytest.approx(1e-4)
