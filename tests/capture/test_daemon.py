"""The daemon with a camera and wheels that the test holds in its hands."""

import queue
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from autcar.cameras.base import Camera, Frame
from autcar.cli import main, parse
from autcar.commands import STOP, Command
from autcar.config import CameraSection, Config, RecordSection
from autcar.errors import CameraError, CameraTimeoutError
from autcar.recording.session import SessionWriter, read_session
from autcar.safety import Reason
from autcar.vehicle import Vehicle
from autcar.wheels import DirectWheels
from capture.daemon import Daemon
from capture.drive import _summarise, configured
from tests.conftest import REPOSITORY, free_port, until

FORWARD = Command("move", "medium", "forward")
MS = 1_000_000


class HandCamera(Camera):
    """Gives what the test puts in."""

    width, height, fps = 32, 24, 20.0

    def __init__(self):
        self.frames = queue.Queue()

    def read(self, timeout_s=1.0):
        try:
            found = self.frames.get(timeout=timeout_s)
        except queue.Empty:
            raise CameraTimeoutError("no frame") from None
        if isinstance(found, Exception):
            raise found
        return found

    def close(self):
        pass


class Motors:
    speeds = (0.0, 0.0)

    def drive(self, left, right):
        self.speeds = (left, right)

    def stop(self):
        self.speeds = (0.0, 0.0)

    def close(self):
        self.stop()


class Bench:
    def __init__(self, folder):
        self.camera, self.motors = HandCamera(), Motors()
        self.number = 0
        vehicle = Vehicle(self.camera, DirectWheels(self.motors), time.monotonic_ns, None, None)
        config = Config(
            camera=CameraSection(width=32, height=24),
            record=RecordSection(folder=str(folder), free_mb=0),
        )
        self.daemon = Daemon(config, vehicle)

    def see(self, time_ns=None):
        time_ns = time.monotonic_ns() if time_ns is None else time_ns
        image = np.full((24, 32, 3), self.number * 10 % 255, np.uint8)
        self.camera.frames.put(Frame(image, self.number, time_ns))
        self.number += 1

    def seen(self):
        until(
            lambda: self.daemon.feed.latest and self.daemon.feed.latest.sequence == self.number - 1
        )


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "recordings")
    yield made
    made.daemon.close()


def test_a_frame_that_arrives_late_has_the_label_of_its_exposure(bench):
    daemon = bench.daemon
    bench.see()
    bench.seen()
    daemon.recorder.record()
    lease = daemon.helm.take("test")
    exposed_stop = time.monotonic_ns()
    time.sleep(0.02)
    daemon.helm.beat(lease, FORWARD)
    time.sleep(0.02)
    exposed_forward = time.monotonic_ns()
    daemon.helm.stop()
    bench.see(exposed_stop)
    bench.see(exposed_forward)
    bench.see()
    bench.seen()
    daemon.recorder.settle()
    records = read_session(daemon.recorder.open_session).records
    assert [record.command for record in records] == [STOP, FORWARD]
    assert [record.time_ns for record in records] == [exposed_stop, exposed_forward]
    assert daemon.recorder.status().idle == 1


def test_a_silent_camera_stops_the_car(bench):
    bench.see()
    bench.seen()
    lease = bench.daemon.helm.take("test")
    bench.daemon.helm.beat(lease, FORWARD)
    assert bench.motors.speeds == FORWARD.wheels
    started = time.monotonic()
    while bench.motors.speeds != (0, 0):
        assert time.monotonic() - started < 0.6
        time.sleep(0.1)
        bench.daemon.helm.beat(lease, FORWARD)
    assert bench.daemon.helm.state.reason == Reason.CAMERA_STALLED.value


def test_a_broken_camera_ends_the_daemon_with_the_wheels_at_rest(bench):
    bench.see()
    bench.seen()
    bench.daemon.helm.beat(bench.daemon.helm.take("test"), FORWARD)
    bench.camera.frames.put(CameraError("the cable came off"))
    with pytest.raises(CameraError, match="cable"):
        bench.daemon.wait(3)
    assert bench.motors.speeds == (0, 0)


def test_a_card_that_hangs_delays_neither_picture_nor_wheels(bench, monkeypatch):
    gate = threading.Event()
    append = SessionWriter.append
    monkeypatch.setattr(SessionWriter, "append", lambda *args: (gate.wait(5), append(*args)))
    bench.see()
    bench.seen()
    bench.daemon.recorder.record()
    lease = bench.daemon.helm.take("test")
    for _ in range(10):
        started = time.monotonic()
        bench.daemon.helm.beat(lease, FORWARD)
        bench.see()
        bench.seen()
        assert time.monotonic() - started < 2, "the card would take five seconds"
    gate.set()


def test_no_first_frame_is_said(bench):
    with pytest.raises(CameraTimeoutError, match="cable"):
        bench.daemon.first_frame(0.1)


# The command line, on the simulated car


@pytest.fixture
def script(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PYTHONPATH", str(REPOSITORY))
    (tmp_path / "lap.txt").write_text("move_medium_forward 0.8\nleft_light_forward 0.5\n")
    return "lap.txt"


def test_a_script_is_driven_and_recorded(script, capsys):
    # A busy machine may be late with frames, so none are counted.
    Path("car.toml").write_text("[safety]\nframe_age_ms = 900.0\n")
    assert main(["record", "--script", script, "--output", "out"]) == 0
    out = capsys.readouterr().out
    assert "next: autcar data check out/" in out
    (folder,) = Path("out").iterdir()
    records = [record for record in read_session(folder).records if record.command != STOP]
    labels = [record.command.label for record in records]
    turn = labels.index("left_light_forward")
    assert set(labels[:turn]) == {"move_medium_forward"}
    assert set(labels[turn:]) == {"left_light_forward"}
    began, turned, ended = (records[row].time_ns / 1e9 for row in (0, turn, -1))
    assert turned - began == pytest.approx(0.8, abs=0.2)
    assert ended - turned == pytest.approx(0.45, abs=0.2)


def test_seconds_end_it_and_nothing_recorded_is_said(script, capsys):
    arguments = ["record", "--seconds", "0.3", "--port", "0", "--pair", "--keyboard"]
    assert main(arguments[:-1]) == 0
    out = capsys.readouterr().out
    assert "cockpit: http://localhost:" in out
    assert "pairing code: " in out
    assert "nothing was recorded" in out
    assert main(["record", "--seconds", "0.3", "--no-cockpit"]) == 0
    assert "cockpit:" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--script", "none.txt"], "there is no script"),
        (["--keyboard", "--no-cockpit"], "needs a terminal"),
        (["--gamepad", "/dev/none", "--no-cockpit"], "gamepad"),
        (["--config", "none.toml"], "autcar config"),
    ],
)
def test_wrong_input_is_said_and_nothing_moves(script, capsys, arguments, message, monkeypatch):
    with open("/dev/null") as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert main(["record", *arguments]) == 2
    assert message in capsys.readouterr().err


def test_the_expert_still_records_in_lock_step(script, capsys):
    assert main(["record", "--pilot", "expert", "--frames", "30", "--output", "out"]) == 0
    assert "30 frames in out/simulated_0001" in capsys.readouterr().out


def test_settings_reach_the_daemon(script, capsys):
    port = free_port()
    Path("car.toml").write_text(f"[cockpit]\nremote_port = {port}\n")
    assert main(["record", "--seconds", "0.3", "--no-cockpit"]) == 0
    assert f"remote protocol: 127.0.0.1 port {port}" in capsys.readouterr().out


def test_the_command_line_has_the_last_word(script, capsys):
    Path("car.toml").write_text('[cockpit]\nlisten = "0.0.0.0"\n[simulator]\nseed = 3\n')
    words = ["--seed", "7", "--listen", "127.0.0.1", "--port", "0", "--pair"]
    config = configured(parse(["record", *words]))
    assert (config.simulator.seed, config.cockpit.pair) == (7, True)
    assert (config.cockpit.listen, config.cockpit.port) == ("127.0.0.1", 0)
    assert configured(parse(["record"])).simulator.seed == 3


def test_a_car_without_aiohttp_is_told_how_to_drive(script, capsys, monkeypatch):
    monkeypatch.setitem(sys.modules, "autcar.cockpit.server", None)
    assert main(["record", "--seconds", "0.3"]) == 2
    said = capsys.readouterr()
    assert "pip install 'autcar[car]'" in said.err
    assert "autcar record --keyboard --no-cockpit" in said.err
    assert "nothing was recorded" in said.out


def test_a_script_that_is_ended_by_stop_is_a_failure(script, capsys, monkeypatch):
    def stopped(helm, steps, wait):
        helm.stop()
        return False

    monkeypatch.setattr("capture.script.run_script", stopped)
    assert main(["record", "--script", script, "--output", "out"]) == 1
    assert "the script was ended: " in capsys.readouterr().out


def test_what_was_lost_is_said_at_the_end(bench, capsys, monkeypatch):
    recorder = bench.daemon.recorder
    for _ in range(3):
        bench.see()
        bench.seen()
    recorder.record()
    lease = bench.daemon.helm.take("test")
    bench.daemon.helm.beat(lease, FORWARD)
    bench.see()
    bench.seen()
    recorder.settle()
    recorder.finish("the card is full: 3 MB free")
    status = recorder.status()
    status.dropped["the card is slow"] = 2
    monkeypatch.setattr(recorder, "status", lambda: status)
    _summarise(recorder)
    said = capsys.readouterr().out.splitlines()
    assert said[0] == "the card is full: 3 MB free"
    assert said[1] == f"1 frames in {recorder.open_session}"
    assert "  dropped: 2 × the card is slow" in said
    assert said[-1] == f"next: autcar data check {recorder.open_session}"
