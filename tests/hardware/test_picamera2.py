"""The picamera2 driver under the real picamera2 package, on a camera module of our own."""

import time

import numpy as np
import pytest

from autcar.cameras import open_camera
from autcar.cameras.picamera2 import Picamera2Camera, Picamera2Settings
from autcar.config import CameraSection
from autcar.errors import CameraError, CameraTimeoutError
from autcar.testing import check_camera, check_stalled_camera

RED = np.array((220, 10, 20), np.uint8)


@pytest.fixture
def camera(sim):
    with Picamera2Camera(224, 168, 30.0) as camera:
        yield camera


def test_the_contract(sim):
    check_camera(lambda: Picamera2Camera(224, 168, 30.0))


def test_frames_come_at_the_rate_that_was_asked_for(camera):
    camera.read()
    frames = [camera.read() for _ in range(30)]
    times = [frame.time_ns for frame in frames]
    assert np.median(np.diff(times)) / 1e6 == pytest.approx(1000 / 30, rel=0.1)
    assert {frame.sequence for frame in frames} <= set(range(frames[0].sequence, 10**6))


def test_a_red_frame_is_red_whatever_lies_between_the_lines(sim):
    sim.scene = lambda width, height, sequence: np.broadcast_to(RED, (height, width, 3))
    for width, align in ((224, 64), (226, 64), (300, 256), (224, 1)):
        sim.stride_align = align
        with Picamera2Camera(width, 168, 30.0) as camera:
            frame = camera.read()
        assert frame.image.shape == (168, width, 3)
        assert (frame.image == RED).all()


def test_a_slow_reader_gets_the_newest_frame(camera):
    camera.read()
    time.sleep(0.5)
    frame = camera.read()
    assert time.monotonic_ns() - frame.time_ns < 100e6
    assert frame.sequence > 10


def test_timeouts_do_not_eat_frames(sim, camera):
    """Each request that is given up would swallow a frame, and four of them starve the camera."""
    camera.read()
    sim.stalled = True
    time.sleep(0.1)
    for _ in range(20):
        with pytest.raises(CameraTimeoutError):
            camera.read(0.02)
    sim.stalled = False
    sim.starved = 0
    time.sleep(0.5)
    began = time.monotonic()
    frames = [camera.read(0.3) for _ in range(10)]
    assert time.monotonic() - began < 1
    assert all(time.monotonic_ns() - frame.time_ns < 1e9 for frame in frames)
    assert time.monotonic_ns() - frames[0].time_ns > time.monotonic_ns() - frames[1].time_ns
    assert frames[0].time_ns > began * 1e9 - 100e6, "the frame that waited meanwhile is skipped"
    assert sim.starved == 0


def test_a_stalled_camera_ends_reads_and_closes_in_time(sim):
    camera = Picamera2Camera(224, 168, 30.0)
    camera.read()
    sim.stalled = True
    time.sleep(0.1)
    check_stalled_camera(camera)


def test_a_frozen_image_has_new_times(sim, camera):
    """It is the gate's to notice: the driver passes on what the camera says."""
    from autcar.frame_statistics import look

    sim.scene = lambda width, height, sequence: np.full(
        (height, width, 3), sequence % 250, np.uint8
    )
    moving = [look(camera.read()).fingerprint for _ in range(4)][1:]
    assert len(set(moving)) == 3
    sim.frozen = True
    camera.read()
    frames = [camera.read() for _ in range(3)]
    assert len({look(frame).fingerprint for frame in frames}) == 1
    assert len({frame.time_ns for frame in frames}) == 3


def test_faulty_frames_are_no_frames(sim, camera):
    camera.read()
    sim.torn = True
    time.sleep(0.1)
    with pytest.raises(CameraTimeoutError):
        camera.read(0.2)


def test_no_camera(sim):
    sim.cameras = []
    with pytest.raises(CameraError, match=r"there is no camera 0.*none.*rpicam-hello"):
        Picamera2Camera(224, 168, 30.0)


def test_the_second_camera_of_one(sim):
    with pytest.raises(CameraError, match=r"there is no camera 1: libcamera finds 1 of them"):
        Picamera2Camera(224, 168, 30.0, Picamera2Settings(number=1))


def test_a_busy_camera(sim, capfd):
    sim.busy = True
    with pytest.raises(CameraError, match="camera 0 is in use by another program"):
        Picamera2Camera(224, 168, 30.0)
    sim.busy = False
    with Picamera2Camera(224, 168, 30.0) as camera:
        camera.read()


def test_a_size_that_the_camera_cannot_give(sim):
    sim.largest = (320, 240)
    with pytest.raises(
        CameraError, match=r"gives 320×240 pixels instead of 640×480; set \[camera\]"
    ):
        Picamera2Camera(640, 480, 30.0)


def test_exposure(sim):
    settings = Picamera2Settings(exposure_us=5000, gain=4.0)
    with Picamera2Camera(224, 168, 30.0, settings) as camera:
        camera.read()
    assert sim.controls["ExposureTime"] == 5000
    assert sim.controls["AnalogueGain"] == 4.0
    assert sim.controls["FrameDurationLimits"] == (33333, 33333)


def test_exposure_is_held_after_a_while(sim):
    with Picamera2Camera(224, 168, 30.0, Picamera2Settings(lock_s=0.2)) as camera:
        camera.read()
        assert "AeEnable" not in sim.controls
        time.sleep(0.25)
        for _ in range(8):
            camera.read()
        assert sim.controls["AeEnable"] is False
        assert sim.controls["AwbEnable"] is False
        assert sim.controls["ExposureTime"] == 9000


def test_unplugged_it_is_restarted_three_times_and_then_reported(sim, monkeypatch):
    from autcar.cameras.steady import SteadyCamera

    monkeypatch.setattr(SteadyCamera, "RESTART_S", 0.3)
    monkeypatch.setattr(SteadyCamera, "PAUSES_S", (0.0, 0.1, 0.1))
    with open_camera(CameraSection("picamera2", fps=30.0)) as camera:
        last = camera.read()
        sim.stalled = True
        began = time.monotonic()
        with pytest.raises(CameraTimeoutError):
            camera.read(0.2)
        assert time.monotonic() - began < 0.3
        sim.cameras = []
        with pytest.raises(CameraError, match="3 restarts did not help: there is no camera 0"):
            until_read(camera, 5)
        with pytest.raises(CameraError, match="3 restarts did not help"):
            camera.read(0.1)
    assert last.sequence >= 0


def until_read(camera, seconds):
    """Read until a frame comes; time-outs are borne."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            return camera.read(0.05)
        except CameraTimeoutError:
            pass
    raise AssertionError("no frame, and no report either")


def test_plugged_in_again_it_goes_on(sim, monkeypatch):
    from autcar.cameras.steady import SteadyCamera

    monkeypatch.setattr(SteadyCamera, "RESTART_S", 0.3)
    with open_camera(CameraSection("picamera2", fps=30.0)) as camera:
        for _ in range(5):
            last = camera.read()
        sim.stalled = True
        while camera.restarts == 0:
            with pytest.raises(CameraTimeoutError):
                camera.read(0.05)
        sim.stalled = False
        frame = until_read(camera, 5)
        assert frame.sequence > last.sequence
        assert camera.restarts == 1


def test_a_stall_stops_the_wheels_within_300_ms_and_the_camera_comes_back(sim, monkeypatch):
    from autcar.cameras.steady import SteadyCamera
    from autcar.commands import Command
    from autcar.motors.base import Motors
    from autcar.safety import Gate, Reason
    from autcar.wheels import DirectWheels
    from edge.loop import Loop
    from edge.pilots import ConstantDecider, DecidingPilot

    class Wheels(Motors):
        speeds = (0.0, 0.0)
        stopped_ns = 0

        def drive(self, left, right):
            if self.speeds != (0, 0) and not (left or right):
                self.stopped_ns = time.monotonic_ns()
            self.speeds = left, right

        def close(self):
            self.stop()

    monkeypatch.setattr(SteadyCamera, "RESTART_S", 0.5)
    noise = np.random.default_rng(0).integers(60, 200, (300, 168, 224, 3), np.uint8)
    sim.scene = lambda width, height, sequence: noise[sequence % 300]
    wheels = Wheels()
    pilot = DecidingPilot(ConstantDecider(Command("move", "medium", "forward")))
    with open_camera(CameraSection("picamera2", fps=30.0)) as camera:
        loop = Loop(camera, pilot, DirectWheels(wheels), Gate())
        loop.arm()
        ticks = loop.ticks()
        for _ in range(10):
            tick = next(ticks)
        assert tick.verdict.reason is None
        assert wheels.speeds == (0.7, 0.7)
        sim.stalled = True
        while tick.verdict.reason is None:
            newest_ns = tick.frame_ns
            tick = next(ticks)
        assert tick.verdict.reason is Reason.CAMERA_STALLED
        assert wheels.speeds == (0, 0)
        assert (wheels.stopped_ns - newest_ns) / 1e6 < 300
        while camera.restarts == 0:
            next(ticks)
        sim.stalled = False
        while next(ticks).frame is None:
            pass
        loop.arm()
        next(ticks)
        assert next(ticks).verdict.reason is None
        ticks.close()
    assert wheels.speeds == (0, 0)
