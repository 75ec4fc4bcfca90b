"""``autcar drive`` on the simulated car, faster than real time."""

import io
import json
import shutil
import socket
from dataclasses import replace

import numpy as np
import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.cli import main
from autcar.errors import CameraTimeoutError
from autcar.safety import BLIND_LABELS
from edge.drive import StatusLine
from edge.drive_log import read_drive
from edge.pilots import BundlePilot, fastest_variant
from tests.edge.scripted import LEFT, Car


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def drive(capsys, *options, seconds="4"):
    code = main(["drive", "--fast", "--seconds", seconds, "--json", *options])
    said = capsys.readouterr()
    return code, said.out, json.loads(said.out.splitlines()[-1]) if said.out else said.err


def test_the_shipped_bundle_drives(capsys):
    code, said, facts = drive(capsys)
    assert code == 0
    assert "drives the simulated car on track 1" in said
    assert facts["reason"] is None
    assert facts["frames"] == 80
    assert facts["score"]["distance_m"] > 1
    assert facts["pilot_ms"]["count"] == 80


def test_always_straight_leaves_the_track(capsys):
    code, _, facts = drive(capsys, "--pilot", "straight", seconds="20")
    assert code == 1
    assert facts["score"]["failures"] >= 1


def test_the_expert_drives_and_a_map_is_drawn(capsys, tmp_path):
    code, _, facts = drive(capsys, "--pilot", "expert", "--map", "way.png", "--seed", "5")
    assert code == 0
    assert facts["score"]["failures"] == 0
    assert (tmp_path / "way.png").read_bytes().startswith(b"\x89PNG")


def test_log_and_shadow(capsys, tmp_path):
    shadow = str(shipped_bundle())
    code, said, facts = drive(capsys, "--log", "drives", "--log-frames", "--shadow", shadow)
    assert code == 0
    assert facts["shadow"]["frames"] == 80
    assert facts["shadow"]["agreement"] == 1.0
    (run,) = (tmp_path / "drives").iterdir()
    assert f"autcar replay drives/{run.name}" in said
    logged = read_drive(run)
    assert len(logged.decisions) == len(logged.frames) == 80
    assert logged.info["pilot"].startswith("default (")
    assert logged.info["config"]["camera"]["width"] == 224
    assert main(["replay", str(run), "--bundle", shadow, "--json"]) == 0
    offline = json.loads(capsys.readouterr().out.splitlines()[-1])["offline"]
    assert offline["frames"] == 80
    assert offline["agreement"] > 0.9


def test_a_covered_lens_stops_the_car_and_the_log_says_why(capsys, tmp_path, monkeypatch):
    from autcar.cameras.simulator import SimulatedCamera

    read = SimulatedCamera.read

    def covered_after_a_second(self, timeout_s=1.0):
        frame = read(self, timeout_s)
        if frame.sequence == 20:
            self.cover()
        return frame

    monkeypatch.setattr(SimulatedCamera, "read", covered_after_a_second)
    code, said, facts = drive(capsys, "--log", "drives")
    assert code == 1
    assert facts["reason"] == "the picture is black: is the lens covered?"
    assert "stopped: the picture is black" in said
    (run,) = (tmp_path / "drives").iterdir()
    assert read_drive(run).reason == facts["reason"]


def test_a_bundle_that_does_not_fit_never_moves_a_wheel(capsys, tmp_path):
    (tmp_path / "car.toml").write_text("[camera]\nwidth = 320\nheight = 240\n")
    code, said, _ = drive(capsys)
    assert (code, said) == (2, "")
    code, said, error = drive(capsys, "--bundle", "nowhere")
    assert code == 2
    assert "there is no bundle at nowhere" in error


def test_nobody_watches_what_is_faster_than_real_time(capsys):
    code, said, error = drive(capsys, "--cockpit")
    assert (code, said) == (2, "")
    assert "leave out --fast" in error


@pytest.mark.parametrize(("runtime", "kind"), [("LiteRT", "int8"), ("tflite-runtime", "float32")])
def test_the_fastest_variant_depends_on_the_runtime(monkeypatch, runtime, kind):
    monkeypatch.setattr("edge.pilots.find_runtime", lambda: (runtime, None))
    assert fastest_variant(load_bundle(shipped_bundle())).quantization == kind


def test_a_bundle_of_one_variant_is_what_it_is(monkeypatch, tmp_path):
    copy = tmp_path / "copy"
    shutil.copytree(shipped_bundle(), copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    manifest["variants"] = [v for v in manifest["variants"] if v["name"] == "float32"]
    (copy / "manifest.json").write_text(json.dumps(manifest))
    assert fastest_variant(load_bundle(copy)).name == "float32"


@pytest.mark.parametrize("name", ["black_screen", "white_screen"])
def test_a_bundle_may_see_for_itself_that_it_sees_nothing(monkeypatch, tmp_path, name):
    folder = tmp_path / "copy"
    shutil.copytree(shipped_bundle(), folder)
    manifest = json.loads((folder / "manifest.json").read_text())
    manifest["labels"].insert(1, name)
    (folder / "manifest.json").write_text(json.dumps(manifest))
    bundle = load_bundle(folder)
    bundle.check_fits(224, 168)
    pilot = BundlePilot(bundle)
    said = np.zeros(13, np.float32)
    monkeypatch.setattr(pilot._interpreter, "run", lambda image: said)
    car = Car(pilot=pilot)
    car.loop.arm()
    said[2] = 0.9  # left_light_forward, which has moved on by one
    assert next(car.ticks).verdict.command == LEFT.index
    assert pilot.blind is None
    said[:] = 0
    said[1], said[2] = 0.6, 0.4
    # One such frame is ridden through, 150 ms of them are not.
    verdicts = [next(car.ticks).verdict for _ in range(6)]
    assert verdicts[0].command == LEFT.index
    assert verdicts[-1].reason is BLIND_LABELS[name]
    assert car.motors.speeds == (0, 0)


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_a_terminal_shows_on_one_line_what_the_car_does(monkeypatch):
    monkeypatch.setattr("sys.stdout", screen := Terminal())
    now = [0.0]
    monkeypatch.setattr("edge.drive.time.monotonic", lambda: now[0])
    car, line = Car(script=[0, 0, 0, CameraTimeoutError("no frame")]), StatusLine()
    line.end()  # nothing was shown: nothing to leave standing
    assert screen.getvalue() == ""
    now[0] = 1.0
    line.tell(next(car.ticks), 20.0)
    line.tell(next(car.ticks), 20.0)  # too soon after the one before
    car.loop.arm()
    now[0] = 2.0
    line.tell(replace(next(car.ticks), remark="sees nobody"), 20.0)
    now[0] = 3.0
    line.tell(next(car.ticks), 19.9)
    line.end()
    first, second, third = screen.getvalue().split("\r\x1b[K")[1:]
    assert first == "at rest: not armed     0.0 ms old    20.0 frames/s"
    assert second.startswith("left_light_forward     ")
    assert "   sees nobody   " in second
    assert third.startswith("at rest: ")
    assert third.endswith("   no frame    19.9 frames/s\n")


def test_the_page_is_served_while_it_drives(capsys, tmp_path):
    (tmp_path / "car.toml").write_text("[cockpit]\nport = 0\npair = true\n")
    main(["drive", "--cockpit", "--seconds", "0.5", "--pilot", "straight"])
    said = capsys.readouterr().out
    assert "cockpit: http://localhost:" in said
    assert "pairing code: " in said
    assert "drove " in said


def test_a_page_that_cannot_be_served_ends_a_whole_log(capsys, tmp_path):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        (tmp_path / "car.toml").write_text(f"[cockpit]\nport = {taken.getsockname()[1]}\n")
        assert main(["drive", "--cockpit", "--pilot", "straight", "--log", "drives"]) == 2
    assert "cannot listen" in capsys.readouterr().err
    (run,) = (tmp_path / "drives").iterdir()
    assert json.loads((run / "run.json").read_text())["ended"] is not None


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (["--map", "way.png"], "--map draws the simulated car's way; this is a real car"),
        (["--film", "way.webp"], "--film shows the simulated car; this is a real car"),
        (["--pilot", "expert"], "the expert knows only the simulated car; use --pilot bundle"),
    ],
)
def test_what_only_a_simulated_car_can_do_is_refused_before_a_real_one_drives(
    monkeypatch, capsys, tmp_path, options, why
):
    car = Car()
    monkeypatch.setattr("edge.drive.open_vehicle", lambda config, realtime: car.vehicle)
    assert main(["drive", "--log", "drives", *options]) == 2
    assert why in capsys.readouterr().err
    assert car.motors.leases == []
    assert not (tmp_path / "drives").exists()


def test_frames_are_kept_beside_a_log(capsys):
    assert main(["drive", "--fast", "--log-frames"]) == 2
    assert "add --log FOLDER" in capsys.readouterr().err
