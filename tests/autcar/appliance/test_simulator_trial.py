"""The simulated tracks that a bundle drives before it may leave for a car."""

import pytest

from autcar.appliance import simulator_trial
from autcar.appliance.simulator_trial import NEEDED, TRACKS, Outcome, drive_track, objection
from autcar.bundle import shipped_bundle
from autcar.commands import Command
from edge.pilots import ConstantDecider, DecidingPilot


@pytest.mark.parametrize(
    ("command", "fault"),
    [
        (Command("move", "medium", "forward"), r"left the lane after \d\.\d s"),
        (Command("stop"), "stood still"),
    ],
)
def test_a_pilot_that_does_not_drive_is_found_out(monkeypatch, command, fault):
    pilot = DecidingPilot(ConstantDecider(command))
    monkeypatch.setattr("edge.pilots.BundlePilot", lambda bundle: pilot)
    monkeypatch.setattr(simulator_trial, "SECONDS", 8.0)
    outcome = drive_track(str(shipped_bundle()), *TRACKS[0])
    assert outcome.fault is not None
    assert pytest.approx(0) == outcome.difficulty
    import re

    assert re.fullmatch(fault, outcome.fault)


def test_a_drive_that_takes_too_long_is_ended(monkeypatch):
    monkeypatch.setattr(simulator_trial, "AT_MOST_S", 0.0)
    outcome = drive_track(str(shipped_bundle()), *TRACKS[0])
    assert outcome.fault == "did not finish within 0 s"


def test_one_line_says_on_which_tracks_and_why():
    well = [Outcome(seed, difficulty, None) for seed, difficulty in TRACKS]
    assert objection(well) is None
    hard = [*well[:NEEDED], *(Outcome(5 + i, 1.0, "stood still") for i in range(2))]
    assert objection(hard) is None
    said = objection([*hard[1:], Outcome(1, 0.0, "left the lane after 3.0 s")])
    assert said is not None
    assert said.startswith(
        "drove 3 of 6 simulated tracks well, 4 are needed: track 5 (difficulty 1)"
    )
    assert "track 1 (difficulty 0): left the lane after 3.0 s" in said
    assert "\n" not in said
