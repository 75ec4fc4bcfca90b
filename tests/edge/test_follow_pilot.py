"""The follow pilot: through the gate, in the world of people, and from a bundle."""

import json

import numpy as np
import pytest

from autcar.cameras.base import Frame
from autcar.cli import main
from autcar.commands import LABELS as COMMANDS
from autcar.config import Config, load_config
from autcar.frame_statistics import look
from autcar.safety import MS, Gate, Reason
from autcar.vehicle import open_vehicle
from edge.drive import drive_vehicle
from edge.follow_pilot import FollowPilot, knowing
from edge.follower import tinted

LABELS = ("background", "people", "hero")
STOP = COMMANDS.index("stop")
AHEAD = COMMANDS.index("move_medium_forward")


def eyes_on(size, sureness=0.9):
    """Eyes that see a hero straight ahead, ``size`` of the picture high."""
    found = np.zeros((40, 60, 3), np.float32)
    found[..., 0] = 1.0
    rows = round(40 * size)
    found[5 : 5 + rows, 28:32] = (1 - sureness, 0.0, sureness)
    return lambda frame: found


def frame(number):
    image = np.random.default_rng(number).integers(0, 256, (120, 160, 3), np.uint8)
    return Frame(image, number, number * 50 * MS)


def judged(pilot, frames):
    gate = Gate(Config().safety)
    verdicts = []
    for number in range(1, frames + 1):
        taken = frame(number)
        if number == 1:
            gate.arm(taken.time_ns, taken.time_ns)
        verdicts.append(gate.decide(taken.time_ns, look(taken), pilot.scores(taken)))
    return verdicts


def test_the_scores_say_how_sure_the_eyes_are():
    scores = FollowPilot(eyes_on(0.45), LABELS).scores(frame(1))
    assert scores[AHEAD] == pytest.approx(0.9, abs=1e-6)
    assert scores[STOP] == pytest.approx(0.1, abs=1e-6)
    assert sum(scores) == pytest.approx(1)


def test_the_order_of_the_classes_is_the_bundles():
    see = eyes_on(0.45)
    turned = FollowPilot(lambda taken: see(taken)[..., ::-1], LABELS[::-1])
    scores = turned.scores(frame(1))
    assert scores[AHEAD] == pytest.approx(0.9, abs=1e-6)
    assert (turned.mask == 2).sum() == 18 * 4


def test_a_pilot_in_doubt_stands_and_latches_nothing():
    found = np.zeros((40, 60, 3), np.float32)
    found[..., 0] = 1.0
    found[5:23, 28:32] = (0.33, 0.26, 0.41)
    verdicts = judged(FollowPilot(lambda taken: found, LABELS), 60)
    assert {v.command for v in verdicts} == {STOP}
    assert {v.reason for v in verdicts} == {None}


def test_a_lost_hero_is_a_stop_command_and_no_fault():
    pilot, number = None, 0

    def see(taken):
        nonlocal number
        number += 1
        return eyes_on(0.45)(taken) if number <= 10 or number > 50 else eyes_on(0.0)(taken)

    pilot = FollowPilot(see, LABELS)
    verdicts = judged(pilot, 70)
    assert {v.reason for v in verdicts} == {None}
    assert verdicts[9].command == AHEAD
    assert verdicts[16].command == verdicts[49].command == STOP
    assert verdicts[-1].command == AHEAD, "the hero is back"


def test_eyes_that_say_no_number_latch_the_gate():
    found = np.full((4, 6, 3), np.nan, np.float32)
    verdicts = judged(FollowPilot(lambda taken: found, LABELS), 2)
    assert verdicts[0].reason is Reason.BAD_OUTPUT


def test_the_tint_shows_the_mask():
    image = np.full((8, 8, 3), 100, np.uint8)
    mask = np.array([[0, 1], [2, 0]], np.uint8)
    found = tinted(image, mask)
    assert found[0, 0].tolist() == [100, 100, 100]
    assert found[0, 7].argmax() == 1
    assert found[7, 0].argmax() == 2


@pytest.fixture
def car(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    text = '[camera]\nwidth = 160\nheight = 120\n[simulator]\nworld = "people"\n'
    (tmp_path / "car.toml").write_text(text)


def test_a_walk_with_a_follower_that_sees_the_truth(car, capsys, tmp_path):
    options = ["--pilot", "expert", "--fast", "--seconds", "30", "--json", "--map", "map.png"]
    assert main(["drive", *options, "--seed", "4"]) == 0
    said = capsys.readouterr().out
    assert "among people, walk 4" in said
    score = json.loads(said.splitlines()[-1])["score"]
    assert score["in_view"] >= 0.95
    assert score["nearest_m"] > 1.5
    assert score["distance_m"] > 2
    assert score["failures"] == 0
    assert (tmp_path / "map.png").stat().st_size > 1000


def test_straight_on_the_same_walk_loses_the_hero(car, capsys):
    options = ["--pilot", "straight", "--fast", "--seconds", "30", "--json", "--seed", "4"]
    main(["drive", *options])
    score = json.loads(capsys.readouterr().out.splitlines()[-1])["score"]
    assert score["in_view"] < 0.6


def test_a_covered_lens_stops_a_follower_for_good(car):
    config = load_config()
    with open_vehicle(config, realtime=False) as vehicle:
        pilot = knowing(vehicle.world, config.follow)

        class Covering:
            def tell(self, tick, rate):
                if tick.sequence == 20:
                    vehicle.camera.cover()
                elif tick.sequence == 22:
                    vehicle.camera.clear()
                elif tick.sequence == 40:
                    vehicle.camera.cover()

            def end(self):
                pass

        run = drive_vehicle(vehicle, pilot, Gate(config.safety), 10.0, Covering())
    assert run.reason is Reason.LENS_COVERED
    assert 40 < run.frames < 50


def test_an_unknown_world_is_refused(car, capsys, tmp_path):
    (tmp_path / "car.toml").write_text('[simulator]\nworld = "moon"\n')
    assert main(["drive", "--fast"]) == 2
    assert "there are track and people" in capsys.readouterr().err
