"""A recorded session, played as a camera."""

import time
from contextlib import suppress

import numpy as np
import pytest

from autcar.cameras import open_camera
from autcar.cameras.replay import ReplayCamera, ReplaySettings
from autcar.config import CameraSection
from autcar.errors import CameraError
from autcar.testing import check_camera
from tests.conftest import picture


def test_the_contract(make_session):
    settings = ReplaySettings(session=str(make_session(frames=5)), loop=True)
    check_camera(lambda: ReplayCamera(64, 48, 100.0, settings))


def test_a_session_is_played_in_order_to_its_end(make_session):
    session = make_session(frames=6)
    section = CameraSection("replay", 64, 48, 10.0, options={"session": str(session)})
    frames = []
    with open_camera(section) as camera:
        with suppress(CameraError):
            while True:
                frames.append(camera.read())
        with pytest.raises(CameraError, match="session is over; set loop = true"):
            camera.read()
    assert [frame.sequence for frame in frames] == sorted({frame.sequence for frame in frames})
    assert frames[-1].sequence == 5
    for frame in frames:
        away = frame.image.astype(int) - picture(frame.sequence)
        assert np.abs(away).mean() < 30
    assert time.monotonic_ns() - frames[-1].time_ns < 1e9


def test_what_cannot_be_played(make_session, tmp_path):
    with pytest.raises(CameraError, match="which recording"):
        ReplayCamera(64, 48, 20.0)
    with pytest.raises(CameraError, match="nowhere"):
        ReplayCamera(64, 48, 20.0, ReplaySettings(session=str(tmp_path / "nowhere")))
    settings = ReplaySettings(session=str(make_session()))
    with (
        ReplayCamera(48, 48, 20.0, settings) as camera,
        pytest.raises(CameraError, match="has 64×48 pixels; set .camera. width"),
    ):
        camera.read()
