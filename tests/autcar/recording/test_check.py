import numpy as np
import pytest

from autcar.commands import STOP, Command
from autcar.images import encode_jpeg
from autcar.recording.check import BAD, GOOD, NOTE, answer_after, check, examine
from autcar.recording.session import read_session

FORWARD = Command("move", "medium", "forward")
LEFT = Command("left", "medium", "forward")
RIGHT = Command("right", "medium", "forward")


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


@pytest.mark.filterwarnings("error")
def test_pictures_that_are_all_damaged_are_not_called_sharp(make_session):
    folder = make_session(frames=24)
    for record in read_session(folder).records:
        record.image.write_bytes(b"\xff\xd8 torn")
    session = read_session(folder)
    findings = check(session, examine(session.records))
    assert said(findings, "24 pictures are damaged").level == BAD
    assert not said(findings, "bright, sharp")
