import ast
import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from autcar.checkup import BAD, GOOD, NOTE, answer_after, check, examine
from autcar.cli import main
from autcar.commands import CLASSES, STOP, Command
from autcar.errors import DataError, DataNotFoundError
from autcar.images import encode_jpeg, read_image
from autcar.recordings import (
    empty,
    export_recordings,
    find_recordings,
    import_recording,
    merge,
    read_recording,
    rows_between,
    seconds_driven,
)
from autcar.session import delete_rows, read_session
from autcar.session_picture import WIDTH, session_picture
from autcar.tub import TubMapping, read_tub, steering
from tests.conftest import SHARED_DATA, picture

FORWARD = Command("move", "medium", "forward")
LEFT = Command("left", "medium", "forward")
RIGHT = Command("right", "medium", "forward")


def commands(session):
    return [record.command for record in session.records]


def pictures(session):
    return [record.image.read_bytes() for record in session.records]


# To and fro


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


# Mending


def test_merged_sessions_follow_one_another(make_session, tmp_path):
    first, second = make_session("a", 12), make_session("b", 24)
    delete_rows(first, 0, 1)
    merged = read_session(merge([first, second], tmp_path / "recordings" / "both"))
    assert len(merged.records) == 34
    times = [record.time_ns for record in merged.records]
    assert times == sorted(times)
    assert times[10] - times[9] == 10_000_000_000


def test_emptying_deletes_for_good(make_session):
    folder = make_session(frames=24)
    assert empty(folder) == 0
    delete_rows(folder, 4, 7)
    gone = [record.image for record in read_session(folder, include_deleted=True).records[4:8]]
    assert empty(folder) == 4
    session = read_session(folder, include_deleted=True)
    assert [record.sequence for record in session.records] == [*range(4), *range(8, 24)]
    assert session.problems == []
    assert not any(image.exists() for image in gone)
    assert not (folder / "deleted.json").exists()


def test_seconds_become_rows(make_session):
    records = read_session(make_session(frames=48)).records
    assert rows_between(records, 0.5, 1.0) == (10, 20)
    with pytest.raises(DataError, match="nothing was recorded"):
        rows_between(records, 100, 200)


# The doctor


def turning(tmp_path, make_session, late):
    """A scene that moves as the commands of ``late`` frames ago say."""
    generator = np.random.default_rng(1)
    wide = generator.integers(0, 255, (48, 3000, 3), np.uint8)
    wide = np.repeat(np.repeat(wide[::4, ::4], 4, 0), 4, 1)
    order = [(FORWARD, LEFT, RIGHT)[index // 9 % 3] for index in range(600)]
    folder = make_session(f"late{late}", frames=600, commands=lambda index: order[index])
    at = 1500
    for index, record in enumerate(read_session(folder).records):
        command = order[min(max(index - late, 0), 599)]
        at += {LEFT: -3, RIGHT: 3}.get(command, 0)
        record.image.write_bytes(encode_jpeg(wide[:, at : at + 64]))
    return folder


@pytest.mark.parametrize("late", [-4, 0, 3])
def test_the_delay_of_labels_is_found(tmp_path, make_session, late):
    session = read_session(turning(tmp_path, make_session, late))
    seen = examine(session.records)
    shift, correlation = answer_after(session.records, seen)
    assert shift == late
    assert correlation > 0.5
    said = next(
        f for f in check(session, seen) if "from the command" in f.what or "answers" in f.what
    )
    assert (said.level == BAD) == (late < 0)
    if late < 0:
        assert "shift the labels by 4 frames" in said.advice


def said(findings, words):
    return next((finding for finding in findings if words in finding.what), None)


def test_faults_are_found_and_each_says_what_to_do(make_session):
    folder = make_session(frames=600, commands=lambda i: STOP if i % 10 else FORWARD)
    records = read_session(folder).records
    for index in range(40):
        records[index].image.write_bytes(encode_jpeg(np.zeros((48, 64, 3), np.uint8)))
    for index in range(100, 140):
        records[index].image.write_bytes(encode_jpeg(np.full((48, 64, 3), 255, np.uint8)))
    blur = np.full((48, 64, 3), 120, np.uint8)
    blur[:, 32:] = 100
    for index in range(200, 240):
        blur[0, 0] = index
        records[index].image.write_bytes(encode_jpeg(blur))
    records[300].image.write_bytes(b"\xff\xd8 torn")
    lines = (folder / "training.csv").read_text().splitlines()
    del lines[400:430]
    lines[-1] = "images/none.jpg;{'type': 'stop'}"
    lines[-2] = lines[-2].replace(
        '{"type": "stop"}', "{'type': 'move', 'direction': 'forward', 'speed': 'slow'}"
    )
    (folder / "training.csv").write_text("\n".join(lines) + "\nimages/0000")
    session = read_session(folder)
    findings = check(session, examine(session.records))
    assert [f.level for f in findings] == sorted(
        [f.level for f in findings], key=(BAD, NOTE, GOOD).index
    )
    assert said(findings, "2 rows cannot be used").level == BAD
    assert said(findings, "1 pictures are damaged").level == BAD
    assert said(findings, "dark pictures").level == BAD
    assert said(findings, "glaring pictures").level == BAD
    assert said(findings, "blurred pictures")
    assert said(findings, "byte for byte").level == BAD
    assert said(findings, "90% of all frames are stop").advice.startswith("pause recording")
    assert said(findings, "never used: left_light_backwards")
    assert said(findings, "30 dropped")
    assert said(findings, "move_slow_forward").advice.endswith("move_medium_forward")
    assert all(
        finding.advice or finding.level == GOOD or "too few" in finding.what
        for finding in findings
    )


def test_a_good_recording_is_told_so(make_session):
    session = read_session(make_session(frames=600))
    findings = check(session, examine(session.records))
    assert not any(finding.level == BAD for finding in findings)
    assert said(findings, "bright, sharp")


def test_a_recording_is_drawn(make_session):
    records = read_session(make_session(frames=13)).records
    image = session_picture("täst", records)
    assert image.dtype == np.uint8
    assert image.shape[1:] == (WIDTH, 3)
    assert session_picture("one", records[:1]).shape[1] == WIDTH


# The verbs


def test_the_verbs_do_it_all(make_session, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_session("a", 60)
    folder = "recordings/a"
    assert main(["data", "list"]) == 0
    assert "60 frames" in capsys.readouterr().out
    assert main(["data", "show", folder]) == 0
    assert (tmp_path / "a.png").is_file()
    assert main(["data", "check", "recordings"]) == 0
    assert "a: 60 frames" in capsys.readouterr().out
    for option, frames in {
        ("--last", "1"): 40,
        ("--undo",): 60,
        ("--first", "0.5"): 49,
        ("--rows", "20:29"): 39,
        ("--seconds", "2.5:99"): 29,
        ("--empty",): 29,
    }.items():
        assert main(["data", "trim", folder, *option]) == 0
        assert len(read_session(folder).records) == frames
    assert main(["data", "trim", folder, "--rows", "x"]) == 2
    assert "write such as 10:20" in capsys.readouterr().err
    assert main(["data", "export", folder, "--as", "tub", "--to", "tub"]) == 0
    assert main(["data", "import", "tub", "--to", "recordings"]) == 0
    assert main(["data", "merge", folder, "recordings/tub", "--to", "recordings/both"]) == 0
    capsys.readouterr()
    assert main(["data", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["name"]: row["frames"] for row in rows} == {"a": 29, "both": 58, "tub": 29}
    assert main(["data", "check", folder, "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["findings"]
    assert main(["data", "list", "nowhere"]) == 2


def test_a_recording_that_cannot_be_read_does_not_hide_the_others(make_session, capsys, tmp_path):
    make_session("good", 24)
    bad = make_session("bad", 3)
    (bad / "training.csv").write_text("")
    assert main(["data", "list", str(tmp_path / "recordings")]) == 0
    assert "24 frames" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "recordings")]) == 1


def test_pauses_are_not_driven(make_session):
    records = read_session(make_session(frames=40)).records
    assert seconds_driven(records) == pytest.approx(39 * 0.05)
    later = [replace(one, time_ns=one.time_ns + 10**12) for one in records]
    assert seconds_driven([*records, *later]) == pytest.approx(2 * 39 * 0.05)
    assert seconds_driven([replace(one, time_ns=None) for one in records]) is None
    assert seconds_driven([]) is None
