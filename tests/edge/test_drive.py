"""``autcar drive`` on the simulated car, faster than real time."""

import json
import shutil

import numpy as np
import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.cli import main
from autcar.safety import BLIND_LABELS
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
