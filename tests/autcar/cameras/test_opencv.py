"""Video files by the real OpenCV; USB cameras by a device of our own in its place."""

import time
from contextlib import suppress
from pathlib import Path

import cv2
import numpy as np
import pytest

import autcar.cameras.opencv as driver
from autcar.cameras import open_camera
from autcar.cameras.opencv import OpencvCamera, OpencvSettings
from autcar.config import CameraSection
from autcar.errors import CameraError, CameraTimeoutError
from autcar.testing import check_camera, check_stalled_camera


@pytest.fixture(scope="module")
def video(tmp_path_factory):
    """20 frames, first red, then blue."""
    path = tmp_path_factory.mktemp("video") / "drive.avi"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"MJPG"), 20, (64, 48))
    for index in range(20):
        colour = (0, 0, 220) if index < 10 else (220, 0, 0)
        writer.write(np.full((48, 64, 3), colour, np.uint8))
    writer.release()
    return path


def test_a_video_keeps_the_contract(video):
    settings = OpencvSettings(device=str(video), loop=True)
    check_camera(lambda: OpencvCamera(64, 48, 100.0, settings))


def test_a_video_has_colours_a_pace_and_an_end(video):
    section = CameraSection("opencv", 64, 48, 50.0, options={"device": str(video)})
    frames = []
    with open_camera(section) as camera:
        assert camera.live is False
        with suppress(CameraError):
            while True:
                frames.append(camera.read())
        with pytest.raises(CameraError, match=r"drive\.avi is over; set loop = true"):
            camera.read()
    assert frames[0].image[24, 32, 0] > 180
    assert frames[0].image[24, 32, 2] < 60
    assert frames[-1].image[24, 32, 2] > 180
    assert frames[-1].time_ns - frames[0].time_ns == frames[-1].sequence * 20_000_000


def test_a_late_reader_of_a_video_finds_a_gap(video):
    with OpencvCamera(64, 48, 20.0, OpencvSettings(device=str(video))) as camera:
        camera.read()
        time.sleep(0.6)
        frame = camera.read()
        assert frame.sequence >= 11
        assert frame.image[24, 32, 2] > 180


def test_a_frame_that_is_not_due_is_waited_for(video):
    with OpencvCamera(64, 48, 1.0, OpencvSettings(device=str(video))) as camera:
        camera.read()
        with pytest.raises(CameraTimeoutError):
            camera.read(0.02)


def test_another_shape(video):
    settings = OpencvSettings(device=str(video))
    with (
        OpencvCamera(64, 64, 50.0, settings) as camera,
        pytest.raises(CameraError, match="another shape than .camera. asks for"),
    ):
        camera.read()
    with OpencvCamera(32, 24, 50.0, settings) as camera:
        assert camera.read().image.shape == (24, 32, 3)


def test_no_video(tmp_path):
    path = tmp_path / "text.mp4"
    path.write_text("this is no video")
    with pytest.raises(CameraError, match="no video that OpenCV can read"):
        OpencvCamera(64, 48, 20.0, OpencvSettings(device=str(path)))


class Usb:
    """A USB camera as OpenCV shows it: 640×480, B, G, R, with the kernel's times."""

    plugged = True
    stalled = False
    opens = True

    def __init__(self, name, backend):
        assert backend == cv2.CAP_V4L2
        self.wishes = {}
        self.released = False
        Usb.last = self

    def isOpened(self):  # noqa: N802 OpenCV's name
        return Usb.opens

    def set(self, key, value):
        self.wishes[key] = value
        return True

    def get(self, key):
        assert key == cv2.CAP_PROP_POS_MSEC
        return self.taken_ns / 1e6

    def read(self):
        time.sleep(0.02)
        while Usb.stalled and Usb.plugged:
            time.sleep(0.01)
        if not Usb.plugged:
            return False, None
        self.taken_ns = time.monotonic_ns() - 5_000_000
        return True, np.full((480, 640, 3), (10, 20, 200), np.uint8)

    def release(self):
        self.released = True


@pytest.fixture
def usb(tmp_path, monkeypatch):
    monkeypatch.setattr(Usb, "plugged", True)
    monkeypatch.setattr(Usb, "stalled", False)
    monkeypatch.setattr(Usb, "opens", True)
    monkeypatch.setattr(driver.cv2, "VideoCapture", Usb)
    # A device is there and is no ordinary file: a folder will do.
    path = tmp_path / "video0"
    path.mkdir()
    yield OpencvSettings(device=str(path))
    Usb.plugged = False


def test_a_usb_camera_keeps_the_contract(usb):
    check_camera(lambda: OpencvCamera(224, 168, 30.0, usb))
    assert Usb.last.released


def test_a_usb_camera_gives_the_newest_in_red(usb):
    with OpencvCamera(224, 168, 30.0, usb) as camera:
        camera.read()
        time.sleep(0.2)
        frame = camera.read()
        assert frame.image[0, 0].tolist() == [200, 20, 10]
        assert frame.sequence >= 2
        assert 4e6 < time.monotonic_ns() - frame.time_ns < 100e6
        assert Usb.last.wishes[cv2.CAP_PROP_FRAME_WIDTH] == 640


def drain(camera):
    """Read what came before the device stalled."""
    with suppress(CameraTimeoutError):
        while True:
            camera.read(0.1)


def test_a_stalled_usb_camera(usb):
    camera = OpencvCamera(224, 168, 30.0, usb)
    camera.read()
    Usb.stalled = True
    drain(camera)
    check_stalled_camera(camera)


def test_an_unplugged_usb_camera(usb):
    with OpencvCamera(224, 168, 30.0, usb) as camera:
        camera.read()
        Usb.stalled = True
        drain(camera)
        Usb.plugged = False
        with pytest.raises(CameraError, match=r"was it unplugged\?; look with: ls"):
            camera.read()


def test_a_usb_camera_that_cannot_be_had(usb, tmp_path, monkeypatch):
    with pytest.raises(
        CameraError, match=r"there is no camera or file /dev/video77; cameras here"
    ):
        OpencvCamera(224, 168, 30.0, OpencvSettings(device="77"))
    Usb.opens = False
    monkeypatch.setattr(driver, "holders_of", lambda path: "motion (pid 812)")
    with pytest.raises(CameraError, match=r"video0 is in use by motion \(pid 812\); end that"):
        OpencvCamera(224, 168, 30.0, usb)
    monkeypatch.setattr(driver.Path, "exists", lambda self: True)
    monkeypatch.setattr("autcar.device_access.os.access", lambda *_: False)
    with pytest.raises(CameraError, match=r"not yours to use: sudo usermod -aG video \$USER"):
        OpencvCamera(224, 168, 30.0, usb)


def test_who_holds_a_device(tmp_path):
    from autcar.device_access import holders_of

    process = tmp_path / "812"
    (process / "fd").mkdir(parents=True)
    (process / "fd" / "3").symlink_to("/dev/video0")
    (process / "comm").write_text("motion\n")
    (tmp_path / "900" / "fd").mkdir(parents=True)
    assert holders_of("/dev/video0", tmp_path) == "motion (pid 812)"
    assert holders_of("/dev/video1", tmp_path) == ""
    assert isinstance(holders_of("/dev/null", Path("/proc")), str)
