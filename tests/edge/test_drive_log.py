"""The drive log: what is kept of a run, and what survives a crash."""

import json
import threading

import numpy as np
import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.cameras.base import Frame
from autcar.cli import main
from autcar.commands import LABELS, STOP, Command
from autcar.config import FollowSection
from autcar.errors import CameraTimeoutError, DataError, DataNotFoundError
from autcar.images import read_image
from autcar.recording.session import SessionWriter, read_session
from autcar.safety import Reason
from edge import drive_log
from edge.drive import drive_vehicle
from edge.drive_log import DECISION, DECISIONS, INFO, OLD_DECISIONS, DriveLog, read_drive
from edge.pilots import ConstantDecider, DecidingPilot
from edge.replay import _pilot_of, compare, missed_frames, shadow_comparison, summary
from edge.timeline import draw_timeline
from tests.conftest import REPOSITORY
from tests.edge.scripted import LEFT, Car

BACK = Command("move", "medium", "backwards")
PILOT = DecidingPilot(ConstantDecider(LEFT))


def log_of(tmp_path, car, frames=False, **settings):
    about = {"pilot": "left", "where": "nowhere", "shadow": None}
    settings = {"patient": True, "free_mb": 0, **settings}
    return DriveLog(tmp_path, about, camera=car.camera if frames else None, **settings)


def ticks_of(car, count):
    car.loop.arm()
    return [next(car.ticks) for _ in range(count)]


@pytest.fixture
def logged(tmp_path):
    """A run of 30 frames with pictures, the last of which the camera did not give."""
    car = Car([0] * 30 + [CameraTimeoutError("no frame")])
    log = log_of(tmp_path, car, frames=True)
    run = drive_vehicle(car.vehicle, PILOT, car.gate, 100, log=log)
    assert run.reason is Reason.CAMERA_STALLED
    return read_drive(log.folder)


def test_every_decision_is_kept(tmp_path):
    car = Car()
    with log_of(tmp_path, car) as log:
        ticks = ticks_of(car, 50)
        for tick in ticks:
            log.note(tick, PILOT.scores(tick.frame))
    drive = read_drive(log.folder)
    assert (len(drive.decisions), drive.problems, drive.reason) == (50, [], None)
    row, tick = drive.decisions[20], ticks[20]
    assert row["time_ns"] == tick.time_ns
    assert row["frame_ns"] == tick.frame.time_ns
    assert row["sequence"] == tick.frame.sequence
    assert row["pilot_ns"] == tick.pilot_ns
    assert row["overhead_ns"] == tick.overhead_ns
    assert row["age_ns"] == tick.age_ns
    assert row["scores"].tolist() == row["shadow"].tolist() == list(tick.scores)
    assert tuple(row["wheels"]) == pytest.approx(LEFT.wheels)
    assert (row["command"], row["reason"], row["takeover"]) == (LEFT.index, -1, False)
    assert drive.info["ended"]


def test_a_run_says_why_it_stopped_and_keeps_its_frames(logged):
    assert logged.reason == Reason.CAMERA_STALLED.value
    assert len(logged.decisions) == 31
    assert logged.decisions["sequence"][-1] == -1
    assert np.isnan(logged.decisions["scores"][-1]).all()
    assert logged.info["reason"] == logged.reason
    assert logged.info["frames"] == 30
    assert sorted(logged.frames) == list(range(1, 31))
    session = read_session(logged.folder / "frames")
    assert {(record.command, record.source) for record in session.records} == {(LEFT, "pilot")}
    assert read_image(session.records[0].image).shape == (24, 32, 3)


def test_frames_that_a_person_drove_are_labelled_takeover(tmp_path):
    car = Car()
    with log_of(tmp_path, car, frames=True) as log:
        first, second, third = ticks_of(car, 3)
        log.note(first)
        log.note(second, person=BACK)
        log.note(third)
    records = read_session(log.folder / "frames").records
    found = [(record.command, record.source) for record in records]
    assert found == [(LEFT, "pilot"), (BACK, "takeover"), (LEFT, "pilot")]
    assert read_drive(log.folder).decisions["takeover"].tolist() == [False, True, False]


def test_of_a_car_at_rest_only_the_frame_that_stopped_it_is_kept(tmp_path):
    car = Car()
    with log_of(tmp_path, car, frames=True) as log:
        for tick in ticks_of(car, 3):
            log.note(tick)
        car.loop.stop()
        for _ in range(3):
            log.note(next(car.ticks))
    assert sorted(read_drive(log.folder).frames) == [1, 2, 3, 4]


@pytest.mark.parametrize("scores", [[float("nan")] * 12, [0.5], []])
def test_a_pilot_that_talked_nonsense_is_kept_as_saying_stop(tmp_path, scores):
    class Nonsense:
        said = PILOT.scores(None)

        def scores(self, frame):
            return self.said

    car = Car(pilot=Nonsense())
    with log_of(tmp_path, car, frames=True) as log:
        log.note(ticks_of(car, 1)[0])
        Nonsense.said = scores
        log.note(next(car.ticks))
    drive = read_drive(log.folder)
    assert drive.reason == Reason.BAD_OUTPUT.value
    assert drive.frames[2].command == STOP


def test_a_torn_tail_and_a_damaged_record_are_skipped(logged):
    path = logged.folder / DECISIONS
    data = bytearray(path.read_bytes())
    data[5 * DECISION.itemsize + 60] ^= 1
    path.write_bytes(data[:-7])
    drive = read_drive(logged.folder)
    assert len(drive.decisions) == 29
    assert drive.problems == [
        f"{path}: skipped: the last decision is torn",
        f"{path}: skipped: 1 damaged decisions",
    ]
    assert "the last decision is torn" in summary(drive)


def test_a_run_that_was_cut_off_is_read_as_far_as_it_goes(tmp_path):
    car = Car()
    log = log_of(tmp_path, car)
    for tick in ticks_of(car, 5):
        log.note(tick)
    while (log.folder / DECISIONS).stat().st_size != 5 * DECISION.itemsize:
        pass
    # Nobody closed the log.
    drive = read_drive(log.folder)
    assert len(drive.decisions) == 5
    assert "did not end properly" in summary(drive)
    log.close()


def test_it_is_bounded_and_keeps_the_newest(tmp_path):
    car = Car()
    with log_of(tmp_path, car, largest_mb=100 * DECISION.itemsize / 1e6) as log:
        for tick in ticks_of(car, 470):
            log.note(tick)
            if tick.sequence % 10 == 0:
                while log._queue:
                    pass
    assert (log.folder / OLD_DECISIONS).is_file()
    sizes = [(log.folder / name).stat().st_size for name in (OLD_DECISIONS, DECISIONS)]
    assert sum(sizes) <= 100 * DECISION.itemsize
    numbers = read_drive(log.folder).decisions["sequence"]
    assert numbers[-1] == 470
    assert len(numbers) >= 50
    assert (np.diff(numbers) == 1).all()


def test_it_never_waits_for_the_card(tmp_path, monkeypatch):
    stuck = threading.Event()
    monkeypatch.setattr(drive_log, "WRITE_INTERVAL_S", 0.0)
    monkeypatch.setattr(DriveLog, "_drain", lambda self: stuck.wait(10))
    car = Car()
    log = log_of(tmp_path, car, patient=False)
    for tick in ticks_of(car, 200):
        log.note(tick)
    assert log.lost == 200 - drive_log._QUEUE
    stuck.set()
    log.close()
    assert json.loads((log.folder / INFO).read_text())["lost"] == log.lost


def test_a_card_that_fails_ends_the_log_and_not_the_drive(tmp_path, monkeypatch):
    def fail(self, packed):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(DriveLog, "_append", fail)
    car = Car()
    log = log_of(tmp_path, car)
    run = drive_vehicle(car.vehicle, PILOT, car.gate, 5, log=log)
    assert run.reason is None
    assert log.problem == "the log ended: No space left on device"


def test_a_frame_that_cannot_be_written_ends_the_frames_and_not_the_decisions(
    tmp_path, monkeypatch
):
    def fail(self, *frame):
        raise OSError(5, "Input/output error")

    car = Car()
    log = log_of(tmp_path, car, frames=True)
    monkeypatch.setattr(SessionWriter, "write", fail)
    monkeypatch.setattr(SessionWriter, "close", fail)
    run = drive_vehicle(car.vehicle, PILOT, car.gate, 5, log=log)
    assert len(read_drive(log.folder).decisions) == run.frames
    assert log.problem == "frames ended: Input/output error"


def test_a_score_beyond_all_measure_is_kept_as_infinite(tmp_path):
    car = Car()
    with log_of(tmp_path, car) as log:
        (tick,) = ticks_of(car, 1)
        log.note(tick, [1e300, -1e300, float("nan"), *[0.0] * 9])
    found = read_drive(log.folder).decisions["shadow"][0].tolist()
    assert found[:2] == [float("inf"), float("-inf")]
    assert np.isnan(found[2])


def test_frames_end_where_the_card_must_be_kept_free(tmp_path, monkeypatch):
    monkeypatch.setattr(drive_log, "SYNC_INTERVAL_S", 0.0)
    monkeypatch.setattr(drive_log, "_DISK_CHECK_S", 0.0)
    car = Car()
    log = log_of(tmp_path, car, frames=True, free_mb=2**40)
    run = drive_vehicle(car.vehicle, PILOT, car.gate, 5, log=log)
    assert run.reason is None
    assert log.problem.startswith("frames ended: ")
    drive = read_drive(log.folder)
    assert len(drive.decisions) == run.frames
    assert log.problem in summary(drive)


def test_runs_of_the_same_second_have_folders_of_their_own(tmp_path):
    logs = [log_of(tmp_path, Car()) for _ in range(3)]
    assert len({log.folder for log in logs}) == 3
    for log in logs:
        log.close()


def test_what_is_no_run_is_refused(tmp_path):
    with pytest.raises(DataNotFoundError, match="autcar drive --log"):
        read_drive(tmp_path)
    (tmp_path / INFO).write_text("{")
    with pytest.raises(DataError, match="cannot be read"):
        read_drive(tmp_path)
    (tmp_path / INFO).write_text('{"schema": 99}')
    with pytest.raises(DataError, match="schema"):
        read_drive(tmp_path)
    (tmp_path / INFO).write_text('{"schema": 1}')
    with pytest.raises(DataError, match="no whole decision"):
        read_drive(tmp_path)


def test_another_pilot_is_asked_about_the_frames(logged):
    same = compare(logged, PILOT, "same")
    assert (same.frames, same.agreement) == (30, 1.0)
    other = compare(logged, DecidingPilot(ConstantDecider(BACK)), "other")
    assert other.pairs == {(LEFT.index, BACK.index): 30}
    assert len(other.episodes) == 1
    assert shadow_comparison(logged).frames == 0


def test_without_frames_nobody_can_be_asked(tmp_path):
    car = Car()
    with log_of(tmp_path, car) as log:
        log.note(ticks_of(car, 1)[0])
    with pytest.raises(DataError, match="--log-frames"):
        compare(read_drive(log.folder), PILOT, "same")


def test_gaps_in_the_numbers_are_frames_unused(tmp_path):
    car = Car()
    with log_of(tmp_path, car) as log:
        for tick in ticks_of(car, 10):
            if tick.sequence not in (4, 5, 8):
                log.note(tick)
    assert missed_frames(read_drive(log.folder)) == 3


def test_the_picture_shows_what_was_driven(logged):
    image = draw_timeline(logged)
    assert image.dtype == np.uint8
    assert image.shape[2] == 3
    orange = (image == (225, 130, 20)).all(axis=2)
    row = 44 + LEFT.index * 20 + 1
    assert orange[row, 200:1400].all()
    assert not orange[44 + BACK.index * 20 + 1].any()


def test_the_verb(logged, capsys):
    assert main(["replay", str(logged.folder), "--json"]) == 0
    said = capsys.readouterr().out
    assert "stopped: the camera gives no frames" in said
    assert "left_light_forward" in said
    facts = json.loads(said.splitlines()[-1])
    assert (facts["decisions"], facts["frames_kept"]) == (31, 30)
    assert (logged.folder / "timeline.png").is_file()
    assert main(["replay", str(logged.folder / "nowhere")]) == 2


def test_a_bundle_that_follows_can_be_asked(tmp_path):
    bundle = load_bundle(shipped_bundle("follow"))
    pilot, name = _pilot_of(bundle, None, {"size": 0.4, "near": 0.5, "of a later version": 1})
    assert pilot.follower.settings == FollowSection(size=0.4, near=0.5)
    size = (bundle.manifest.height, bundle.manifest.width, 3)
    assert len(pilot.scores(Frame(np.full(size, 128, np.uint8), 1, 1))) == len(LABELS)
    assert name.startswith("follow (")


@pytest.mark.parametrize(
    ("folder", "said"),
    [
        ("models/default", "takes 224×168 images, the camera gives 32×24"),
        ("models/follow", "takes 128×96 images"),
    ],
)
def test_a_bundle_for_other_frames_is_refused(logged, capsys, folder, said):
    assert main(["replay", str(logged.folder), "--bundle", str(REPOSITORY / folder)]) == 2
    assert said in capsys.readouterr().err
