"""Restarts of a camera: counted, with pauses, latched after three."""

import threading
import time

import numpy as np
import pytest

from autcar.cameras.base import Camera, Frame
from autcar.cameras.picture import Picture
from autcar.cameras.steady import SteadyCamera
from autcar.config import CameraSection
from autcar.errors import CameraError, CameraTimeoutError

SECTION = CameraSection(width=32, height=24, fps=100.0)


class Hardware:
    """What goes wrong with the camera, and what was done about it."""

    def __init__(self):
        self.fault = None
        self.absent = False
        self.stuck = None
        self.opened = self.closed = 0

    def open(self):
        if isinstance(self.absent, Exception):
            raise self.absent
        if self.absent:
            raise CameraError("there is no camera")
        self.opened += 1
        return Plugged(self)


class Plugged(Camera):
    width, height, fps = 32, 24, 100.0

    def __init__(self, hardware):
        self.hardware = hardware
        self.sequence = -1

    def read(self, timeout_s=1.0):
        if self.hardware.fault == "stall":
            time.sleep(timeout_s)
            raise CameraTimeoutError(f"no frame in {timeout_s} s")
        if self.hardware.fault == "pulled":
            raise CameraError("the cable was pulled")
        time.sleep(0.01)
        self.sequence += 1
        return Frame(np.zeros((24, 32, 3), np.uint8), self.sequence, time.monotonic_ns())

    def close(self):
        self.hardware.closed += 1
        if self.hardware.stuck is not None:
            raise self.hardware.stuck


@pytest.fixture
def hardware(monkeypatch):
    monkeypatch.setattr(SteadyCamera, "RESTART_S", 0.15)
    monkeypatch.setattr(SteadyCamera, "PAUSES_S", (0.0, 0.02, 0.04))
    return Hardware()


@pytest.fixture
def camera(hardware):
    with SteadyCamera(hardware.open, Picture(SECTION)) as camera:
        yield camera


def until_read(camera, seconds=3.0):
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return camera.read(0.05)
        except CameraTimeoutError:
            pass
    raise AssertionError("no frame, and no report either")


def test_two_seconds_and_three_restarts_are_the_rule():
    assert SteadyCamera.RESTART_S == 2.0
    assert SteadyCamera.RESTARTS == 3


def test_a_stall_is_told_at_once_and_restarted_later(hardware, camera):
    last = camera.read()
    hardware.fault = "stall"
    began = time.monotonic()
    with pytest.raises(CameraTimeoutError):
        camera.read(0.05)
    assert time.monotonic() - began < 0.15
    assert camera.restarts == 0
    while camera.restarts == 0:
        with pytest.raises(CameraTimeoutError):
            camera.read(0.05)
    assert time.monotonic() - began >= 0.15
    hardware.fault = None
    frame = until_read(camera)
    assert frame.sequence > last.sequence
    assert frame.time_ns > last.time_ns


def test_a_cable_that_is_pulled_and_put_back(hardware, camera, monkeypatch):
    monkeypatch.setattr(SteadyCamera, "PAUSES_S", (0.0, 0.5, 0.5))
    last = camera.read()
    hardware.fault = "pulled"
    hardware.absent = True
    with pytest.raises(CameraTimeoutError, match="being restarted: the cable was pulled"):
        camera.read(0.05)
    time.sleep(0.03)
    hardware.fault, hardware.absent = None, False
    assert until_read(camera).sequence > last.sequence


def test_after_three_it_is_latched(hardware, camera):
    camera.read()
    hardware.fault = "stall"
    with pytest.raises(CameraError, match="3 restarts did not help.*autcar doctor"):
        until_read(camera)
    assert hardware.opened == 4
    hardware.fault = None
    with pytest.raises(CameraError, match="3 restarts did not help"):
        camera.read()
    assert hardware.opened == hardware.closed + 1 or hardware.opened == hardware.closed


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (OSError(19, "No such device"), "No such device"),
        (RuntimeError("no global camera"), "no global camera"),
        (IndexError(), "IndexError"),
    ],
)
def test_whatever_opening_raises_is_a_try_that_failed(hardware, camera, error, told):
    camera.read()
    hardware.fault, hardware.absent = "pulled", error
    with pytest.raises(CameraError, match=f"3 restarts did not help: .*{told}"):
        until_read(camera)
    assert camera.restarts == 3


def test_a_driver_that_fails_to_close_is_opened_anew_all_the_same(hardware, camera):
    last = camera.read()
    hardware.fault, hardware.stuck = "pulled", RuntimeError("never started")
    with pytest.raises(CameraTimeoutError):
        camera.read(0.05)
    hardware.fault = hardware.stuck = None
    assert until_read(camera).sequence > last.sequence


def test_good_frames_make_up_for_restarts(hardware, camera, monkeypatch):
    monkeypatch.setattr(SteadyCamera, "HEALTHY_S", 0.05)
    for _ in range(6):
        hardware.fault = "pulled"
        with pytest.raises(CameraTimeoutError):
            camera.read(0.05)
        hardware.fault = None
        until_read(camera)
        time.sleep(0.06)
        camera.read()
        assert camera.restarts == 0


def test_closing_during_a_restart(hardware, camera):
    camera.read()
    hardware.fault, hardware.absent = "pulled", True
    with pytest.raises(CameraTimeoutError):
        camera.read(0.05)
    began = time.monotonic()
    camera.close()
    camera.close()
    assert time.monotonic() - began < 1
    with pytest.raises(CameraError, match="closed"):
        camera.read()
    time.sleep(0.1)
    assert "camera restart" not in {thread.name for thread in threading.enumerate()}


def test_a_first_opening_that_fails_is_told(hardware):
    hardware.absent = True
    with pytest.raises(CameraError, match="there is no camera"):
        SteadyCamera(hardware.open, Picture(SECTION))


def test_what_is_recorded_is_not_opened_again(hardware, monkeypatch):
    monkeypatch.setattr(Plugged, "live", False)
    with SteadyCamera(hardware.open, Picture(SECTION)) as camera:
        hardware.fault = "pulled"
        with pytest.raises(CameraError, match="the cable was pulled"):
            camera.read()
        assert hardware.opened == 1
