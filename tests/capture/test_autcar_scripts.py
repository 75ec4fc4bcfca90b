"""AutCar's documented scripts on the simulated car, with shorter sleeps."""

import base64
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
import time

import cv2
import numpy as np
import pytest

from autcar import Camera, Capture, Car, RemoteController
from autcar.commands import Command
from autcar.errors import CameraTimeoutError, CommandError, MotorError
from autcar.recording.session import read_session
from autcar.simulator.wires import Wires
from tests.conftest import REPOSITORY, until

CAPTURE = """
from autcar import Camera, Car, Capture
import time

car = Car()
cam = Camera(rotation=-1)
cap = Capture(car, cam, capture_interval=0.1, folder_name="trainingdata")

cap.start()
car.move()
time.sleep(0.6)
car.left("light", "backwards")
time.sleep(0.6)
car.move("forward", "slow")
time.sleep(0.4)
car.stop()
time.sleep(0.4)
cap.stop()
"""

DRIVE = """
from autcar import Car
import time

car = Car()
car.move("forward", "fast")
print("driving", flush=True)
time.sleep(30)
"""


DRIVER = """
from autcar import Camera, Car, Driver
from autcar.bundle import shipped_bundle
import time

def go(model_predictions, car, variables):
    car.move("forward", "fast")

driver = Driver(shipped_bundle(), Car(), Camera(), go, execution_interval=0.1)
driver.start()
print("driving", flush=True)
{then}
"""


@pytest.fixture(autouse=True)
def simulated(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    monkeypatch.setattr("tempfile.tempdir", None)


@pytest.fixture
def patient(tmp_path):
    """A car that lets a busy machine be late with frames."""
    text = "[safety]\nframe_age_ms = 900.0\ncommand_ms = 900.0\n"
    (tmp_path / "car.toml").write_text(text)


@pytest.fixture
def wires(tmp_path):
    opened = []

    def find():
        if not opened:
            opened.append(Wires(next((tmp_path / "tmp").glob("autcar-*/wires"))))
        return opened[0].read()[:2]

    yield find
    for one in opened:
        one.close()


def test_the_capture_script_runs_as_documented(tmp_path):
    done = subprocess.run(
        [sys.executable, "-c", CAPTURE], capture_output=True, text=True, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    (folder,) = (tmp_path / "trainingdata").iterdir()
    session = read_session(folder)
    labels = [record.command.label for record in session.records]
    assert sorted(set(labels)) == [
        *("left_light_backwards", "move_medium_forward", "move_slow_forward", "stop")
    ]
    assert labels.count("left_light_backwards") in range(4, 9)
    assert session.info["ended"]
    steps = np.diff([record.time_ns for record in session.records]) / 1e9
    assert np.median(steps) == pytest.approx(0.1, abs=0.03)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(
    "text", [DRIVE, DRIVER.format(then="time.sleep(30)")], ids=["Car", "Driver"]
)
def test_a_script_that_dies_stops_the_car(wires, patient, number, text):
    script = subprocess.Popen(
        [sys.executable, "-c", text], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    )
    assert script.stdout.readline() == b"driving\n"
    until(lambda: wires() == (1.0, 1.0))
    script.send_signal(number)
    started = time.monotonic()
    until(lambda: wires() == (0.0, 0.0))
    assert time.monotonic() - started < 0.6
    assert script.wait(10) != 0


def test_a_driver_drives_on_after_its_script_until_ctrl_c(wires, patient):
    script = subprocess.Popen(
        [sys.executable, "-c", DRIVER.format(then="")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert script.stdout.readline() == b"driving\n"
    until(lambda: wires() == (1.0, 1.0))
    time.sleep(1.0)
    assert wires() == (1.0, 1.0)
    script.send_signal(signal.SIGINT)
    started = time.monotonic()
    until(lambda: wires() == (0.0, 0.0))
    assert time.monotonic() - started < 0.6
    script.wait(10)


def test_the_car_does_what_it_is_told_and_says_so(wires):
    with Car() as car:
        for tell, label in (
            (lambda: car.move(), "move_medium_forward"),
            (lambda: car.move("backwards"), "move_medium_backwards"),
            (lambda: car.left("harsh"), "left_harsh_forward"),
            (lambda: car.right("light", "backwards"), "right_light_backwards"),
            (lambda: car.stop(), "stop"),
        ):
            tell()
            command = Command.from_label(label)
            until(lambda command=command: np.allclose(wires(), command.wheels))
            assert Command.from_mapping(car.current_command) == command
        car.move()
        time.sleep(0.7)
        assert wires()[0] > 0.6, "it goes on until it is told otherwise"
        with pytest.raises(CommandError, match="slow, medium, fast"):
            car.move("forward", "furious")
    assert wires() == (0.0, 0.0)


def test_the_camera_gives_pictures_as_opencv_does_and_serves_them(monkeypatch):
    with Camera() as upright, Camera(rotation=-1, port=0, capture_interval=0.01) as turned:
        ok, picture = turned.read()
        assert ok
        assert picture.shape == (168, 224, 3)
        rgb = upright.frame().image
        assert abs(int(rgb[20, 112, 0]) - int(upright.read()[1][20, 112, 2])) < 25
        assert upright.get_frame().startswith(b"\xff\xd8")
        turned.start()
        with socket.create_connection(("localhost", turned.port)) as link:
            link.settimeout(5)
            for _ in range(3):
                data = b""
                (size,) = struct.unpack("<L", link.recv(4, socket.MSG_WAITALL))
                data = link.recv(size, socket.MSG_WAITALL)
                image = cv2.imdecode(np.frombuffer(base64.b64decode(data), np.uint8), 1)
                assert image.shape == (150, 200, 3)


def test_a_capture_opens_its_own_camera_and_starts_again(tmp_path):
    with Car() as car:
        capture = Capture(car=car, capture_interval=0.05, rotation=-1)
        for _ in range(2):
            capture.start()
            capture.start()
            until(lambda: capture._recorder.status().frames > 3)
            capture.stop()
            capture.stop()
    folders = sorted((tmp_path / "autcar_training").iterdir())
    assert [len(read_session(folder).records) > 3 for folder in folders] == [True, True]


def test_a_car_that_cannot_drive_says_so(monkeypatch):
    with Car() as car:
        monkeypatch.setattr(car._helm, "beat", lambda lease, command: False)
        with pytest.raises(MotorError, match="the car does not drive"):
            car.move()
        car.stop()


def test_a_camera_that_gives_nothing_is_named_and_a_remote_that_talks_nonsense_is_gone(
    monkeypatch,
):
    with Camera() as camera:
        with pytest.raises(CameraTimeoutError, match=r"no frame in 0.01 s; check its cable"):
            camera.frame(0.01, after=10**9)
        camera.close()
    with RemoteController(port=0) as hearer:
        hearer.listen()
        for said in (b"nonsense", b'{"cmd": "faster"}x', b""):
            with socket.create_connection(("localhost", hearer.port)) as link:
                heard = []
                hearer._heard = "fast"
                link.sendall(said)
                if not said:
                    link.close()
                heard.append(hearer.get_cmds())
            assert heard == ["stop"]
            assert (hearer._link, hearer._waiting) == (None, [])


def test_the_remote_is_heard_and_its_loss_is_a_stop():
    with RemoteController(port=0) as hearer:
        with pytest.raises(CommandError, match="listen"):
            hearer.get_cmds()
        hearer.listen()
        with RemoteController(port=hearer.port) as sender:
            with pytest.raises(CommandError, match="connect"):
                sender.send_cmd("fast")
            sender.connect()
            heard = []
            thread = threading.Thread(
                target=lambda: heard.extend(hearer.get_cmds() for _ in range(4)), daemon=True
            )
            thread.start()
            sender.send_cmd("fast")
            time.sleep(0.8)
            assert heard == ["fast"], "repeated, and told once"
            sender.send_cmd("leftlight")
            sender.send_cmd("startrecording")
            until(lambda: heard == ["fast", "leftlight", "startrecording"])
        sender._repeated = None
        until(lambda: heard[3:] == ["stop"], 3)
        thread.join(2)


def test_the_names_are_there_and_load_nothing_before():
    code = "import sys, autcar; assert 'cv2' not in sys.modules; print(sorted(dir(autcar))[:4])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env={**os.environ}
    )
    assert done.stdout.startswith("['Camera', 'Capture', 'Car', ")
