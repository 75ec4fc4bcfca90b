from dataclasses import replace

import numpy as np
import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.commands import CLASSES, STOP, Command
from autcar.config import Config
from autcar.interpreter import Interpreter
from autcar.simulator.unseen import Measure, drive_unseen

SMALL = replace(
    Config(),
    simulator=replace(Config().simulator, difficulty=0.5),
    camera=replace(Config().camera, width=64, height=48),
)


def always(command):
    return lambda frame: [float(command.index == number) for number in range(len(CLASSES))]


@pytest.mark.parametrize(
    ("command", "kind"), [(Command("move", "medium", "forward"), "left_track"), (STOP, "stood")]
)
def test_failures_are_counted_by_kind(command, kind):
    measure = Measure.of(drive_unseen(SMALL, always(command), tracks=3, seconds=20.0))
    assert getattr(measure, kind) == measure.failures == measure.tracks == 3
    assert measure.clean_tracks == 0
    assert measure.metres_between == pytest.approx(measure.metres / 3)


def test_an_unsure_pilot_is_stopped_by_the_gate():
    drives = drive_unseen(SMALL, lambda frame: [1 / 12] * 12, tracks=2, seconds=5.0)
    assert [drive.failure for drive in drives] == ["stopped", "stopped"]


def test_the_same_seed_gives_the_same_tracks_and_another_gives_others():
    def tracks(seed):
        drives = drive_unseen(SMALL, always(STOP), tracks=2, seconds=0.1, seed=seed)
        return [drive.track.centreline for drive in drives]

    first, again, other = tracks(1), tracks(1), tracks(2)
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], other[0])


def test_the_shipped_bundle_keeps_an_easy_unseen_track():
    bundle = load_bundle(shipped_bundle())
    interpreter = Interpreter(bundle.path(bundle.variant("int8")))
    config = replace(Config(), simulator=replace(Config().simulator, difficulty=0.0))
    heard = []

    class Listener:
        def step(self, *words):
            heard.append(words)

    (drive,) = drive_unseen(
        config,
        lambda frame: interpreter.run(frame.image).tolist(),
        tracks=1,
        seconds=6.0,
        progress=Listener(),
    )
    assert drive.failure == ""
    assert drive.metres > 1
    assert len(drive.line) > 10
    assert heard == [("driving unseen tracks", 1, 1)]
    assert str(Measure.of([drive])).startswith("1 unseen tracks: ≥")
