import ast
import json
import shutil

import numpy as np
import pytest

from autcar.commands import CLASSES, Command
from autcar.errors import DataError, DataNotFoundError
from autcar.images import read_image
from autcar.recording.conversion import export_recordings, import_recording, merge
from autcar.recording.deletion import delete_rows
from autcar.recording.reading import find_recordings, read_recording
from autcar.recording.session import read_session
from autcar.recording.tub import TubMapping, read_tub, steering
from tests.conftest import SHARED_DATA, picture


def commands(session):
    return [record.command for record in session.records]


def pictures(session):
    return [record.image.read_bytes() for record in session.records]


def test_a_session_becomes_a_tub_and_comes_back(make_session, tmp_path):
    folder = make_session(frames=1100)
    delete_rows(folder, 5, 9)
    before = read_session(folder)
    assert export_recordings([folder], tmp_path / "tub", "tub") == 1095
    tub = read_tub(tmp_path / "tub")
    mapped = TubMapping(fast_throttle=0.75).classes(tub.angles, tub.throttles)
    assert [CLASSES[index] for index in mapped] == commands(before)
    (back,) = import_recording(tmp_path / "tub", tmp_path / "back")
    after = read_session(back)
    assert commands(after) == commands(before)
    assert pictures(after) == pictures(before)
    first = before.records[0].time_ns
    assert [r.time_ns for r in after.records] == [r.time_ns for r in before.records], first
    assert after.info["camera"] == {"width": 64, "height": 48, "fps": 20.0, "color": "RGB"}


def test_deleted_frames_are_flagged_in_a_tub_where_they_are_wanted(make_session, tmp_path):
    folder = make_session(frames=24)
    delete_rows(folder, 5, 9)
    export_recordings([folder], tmp_path / "tub", "tub", include_deleted=True)
    assert read_tub(tmp_path / "tub").deleted == 5
    assert len(read_recording(tmp_path / "tub").records) == 19
    assert len(read_recording(tmp_path / "tub", include_deleted=True).records) == 24


def test_each_session_is_a_run_of_the_tub(make_session, tmp_path):
    folders = [make_session("a", 12), make_session("b", 24)]
    export_recordings(folders, tmp_path / "tub", "tub")
    back = import_recording(tmp_path / "tub", tmp_path / "back")
    assert [folder.name for folder in back] == ["tub_00", "tub_01"]
    assert [len(read_session(folder).records) for folder in back] == [12, 24]


def test_every_command_has_its_steering():
    for command in CLASSES:
        angle, throttle = steering(command)
        index = TubMapping(fast_throttle=0.75).classes(np.array([angle]), np.array([throttle]))
        assert CLASSES[index[0]] == command
    assert steering(Command("left", "harsh", "backwards")) == (-1.0, -0.5)
    assert steering(Command("move", "slow", "forward")) == (0.0, 0.2)


def test_autcars_layout_is_written_and_read(make_session, tmp_path):
    folder = make_session(frames=12)
    export_recordings([folder], tmp_path / "autcar", "autcar")
    lines = (tmp_path / "autcar/training.csv").read_bytes().split(b"\r\n")
    assert len(lines) == 13
    name, literal = lines[1].decode().split(";")
    assert name == "1_car_snapshot.jpg"
    assert ast.literal_eval(literal)["type"] == "left"
    (back,) = import_recording(tmp_path / "autcar", tmp_path / "back")
    after = read_session(back)
    assert commands(after) == commands(read_session(folder))
    assert {record.time_ns for record in after.records} == {None}


def test_labelled_folders_are_written_and_read(make_session, tmp_path):
    folder = make_session(frames=26, commands=lambda i: CLASSES[i % 3])
    export_recordings([folder], tmp_path / "labelled", "labelled")
    (tmp_path / "labelled" / "cats").mkdir()
    session = read_recording(tmp_path / "labelled")
    assert len(session.records) == 26
    assert "cats" in session.problems[0]
    assert commands(session) == sorted(commands(session), key=lambda c: c.label)
    (back,) = import_recording(tmp_path / "labelled", tmp_path / "back")
    assert commands(read_session(back)) == commands(session)


def test_png_stays_png(tmp_path):
    from autcar.images import write_png

    (tmp_path / "old").mkdir()
    write_png(tmp_path / "old/0_car_snapshot.png", picture(0))
    (tmp_path / "old/training.csv").write_text("0_car_snapshot.png;{'type': 'stop'}\r\n")
    (back,) = import_recording(tmp_path / "old", tmp_path / "back")
    record = read_session(back).records[0]
    assert record.image.suffix == ".png"
    assert np.array_equal(read_image(record.image), picture(0))
    export_recordings([back], tmp_path / "tub", "tub")
    assert read_image(read_tub(tmp_path / "tub").images[0]).shape == (48, 64, 3)


def test_nothing_is_overwritten(make_session, tmp_path):
    folder = make_session(frames=12)
    (tmp_path / "full").mkdir()
    (tmp_path / "full/x").touch()
    for kind in ("tub", "autcar", "labelled"):
        with pytest.raises(DataError, match="not empty"):
            export_recordings([folder], tmp_path / "full", kind)
    with pytest.raises(DataError, match="x is a file; name a new folder"):
        export_recordings([folder], tmp_path / "full/x", "tub")
    with pytest.raises(DataError, match="no kind"):
        export_recordings([folder], tmp_path / "new", "tape")
    with pytest.raises(DataError, match="there already"):
        merge([folder], tmp_path / "full")
    with pytest.raises(DataNotFoundError):
        find_recordings(tmp_path / "full")
    with pytest.raises(DataNotFoundError):
        find_recordings(tmp_path / "none")


@pytest.mark.skipif(
    not (SHARED_DATA / "tub_formula_usi").is_dir(), reason="needs ../shared/data/tub_formula_usi"
)
def test_a_real_tub_goes_round(tmp_path):
    source = SHARED_DATA / "tub_formula_usi"
    part = tmp_path / "part"
    part.mkdir()
    lines = (source / "manifest.json").read_text().splitlines()
    end = json.loads(lines[-1])
    end["paths"] = end["paths"][:2]
    (part / "manifest.json").write_text("\n".join([*lines[:-1], json.dumps(end)]) + "\n")
    for name in end["paths"]:
        shutil.copy(source / name, part)
    (part / "images").symlink_to(source / "images")
    with pytest.raises(DataError, match="--include-deleted"):
        read_recording(part)
    folders = import_recording(part, tmp_path / "sessions", include_deleted=True)
    export_recordings(folders, tmp_path / "tub", "tub")
    before, after = read_recording(part, include_deleted=True), read_recording(tmp_path / "tub")
    assert commands(after) == commands(before)
    assert pictures(after) == pictures(before)
    assert [r.time_ns for r in after.records] == [r.time_ns for r in before.records]
    assert [r.source for r in after.records] == [r.source for r in before.records]


def test_merged_sessions_follow_one_another(make_session, tmp_path):
    first, second = make_session("a", 12), make_session("b", 24)
    delete_rows(first, 0, 1)
    merged = read_session(merge([first, second], tmp_path / "recordings" / "both"))
    assert len(merged.records) == 34
    times = [record.time_ns for record in merged.records]
    assert times == sorted(times)
    assert times[10] - times[9] == 10_000_000_000


def test_merged_sessions_without_times_get_them(make_session, tmp_path):
    """AutCar's layout has none; all at one time would be one block of a split."""
    old = [tmp_path / "old1", tmp_path / "old2"]
    for folder in old:
        export_recordings([make_session(folder.name, 12)], folder, "autcar")
    merged = read_session(merge([*old, make_session("new", 12)], tmp_path / "all"))
    steps = np.diff([record.time_ns for record in merged.records]) / 1e9
    old_steps = [0.5] * 11
    assert steps.tolist() == [*old_steps, 10.0, *old_steps, 10.0, *[0.05] * 11]
