from dataclasses import replace

import pytest

from autcar.recording.reading import seconds_driven
from autcar.recording.session import read_session


def test_pauses_are_not_driven(make_session):
    records = read_session(make_session(frames=40)).records
    assert seconds_driven(records) == pytest.approx(39 * 0.05)
    later = [replace(one, time_ns=one.time_ns + 10**12) for one in records]
    assert seconds_driven([*records, *later]) == pytest.approx(2 * 39 * 0.05)
    assert seconds_driven([replace(one, time_ns=None) for one in records]) is None
    assert seconds_driven([]) is None
