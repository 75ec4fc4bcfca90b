import numpy as np

from autcar.recording.picture import WIDTH, session_picture
from autcar.recording.session import read_session


def test_a_recording_is_drawn(make_session):
    records = read_session(make_session(frames=13)).records
    image = session_picture("täst", records)
    assert image.dtype == np.uint8
    assert image.shape[1:] == (WIDTH, 3)
    assert session_picture("one", records[:1]).shape[1] == WIDTH
