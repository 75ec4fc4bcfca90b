import ast
import csv
import itertools
import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime

import numpy as np
import pytest

from autcar.cameras.base import Frame
from autcar.commands import CLASSES, STOP, Command
from autcar.errors import DataError, DataNotFoundError
from autcar.images import read_image
from autcar.recording.deletion import delete_rows, deletions, undo_delete
from autcar.recording.session import SessionWriter, read_session
from tests.conftest import picture


def test_what_is_written_is_read_back(make_session):
    folder = make_session(frames=24)
    session = read_session(folder)
    assert session.problems == []
    assert [record.command for record in session.records] == [*CLASSES, *CLASSES]
    assert [record.time_ns for record in session.records] == [i * 50_000_000 for i in range(24)]
    assert [record.sequence for record in session.records] == list(range(24))
    assert {record.source for record in session.records} == {"human"}
    image = read_image(session.records[5].image)
    assert image.shape == (48, 64, 3)
    assert np.abs(image.astype(int) - picture(5)).mean() < 12
    info = json.loads((folder / "session.json").read_text())
    assert (info["schema"], info["frames"]) == (1, 24)
    assert info["camera"] == {"width": 64, "height": 48, "fps": 20.0, "color": "RGB"}


def test_autcars_own_conventions_read_it(make_session):
    """Rows split on `;`, an image path relative to the folder, a Python literal."""
    folder = make_session(frames=12)
    with open(folder / "training.csv") as file:
        rows = list(csv.reader(file, delimiter=";"))
    # csv unquotes nothing here: AutCar's reader sees the second cell as it stands.
    lines = (folder / "training.csv").read_text().splitlines()
    assert len(rows) == len(lines) == 12
    for line, row, command in zip(lines, rows, CLASSES, strict=True):
        assert (folder / row[0]).is_file()
        literal = ast.literal_eval(line.split(";")[1])
        assert ast.literal_eval(row[1]) == literal
        name = literal["type"]
        if name == "move":
            name = f"{name}_{literal['speed']}_{literal['direction']}"
        elif name in ("left", "right"):
            name = f"{name}_{literal['style']}_{literal['direction']}"
        assert name == command.label


def test_autcars_own_recordings_are_read(tmp_path):
    (tmp_path / "training.csv").write_bytes(
        b"0_car_snapshot.png;{'type': 'move', 'direction': 'forward', 'speed': 'slow'}\r\n"
        b"1_car_snapshot.png;{'type': 'stop'}\r\n"
    )
    for number in range(2):
        (tmp_path / f"{number}_car_snapshot.png").write_bytes(b"x")
    session = read_session(tmp_path)
    assert [record.command.label for record in session.records] == ["move_slow_forward", "stop"]
    assert [record.time_ns for record in session.records] == [None, None]
    assert session.problems == []


def test_the_same_frames_write_the_same_bytes(make_session):
    first, second = make_session("one", frames=12), make_session("two", frames=12)
    for path in sorted(p for p in first.rglob("*") if p.is_file()):
        assert path.read_bytes() == (second / path.relative_to(first)).read_bytes(), path.name


def test_a_name_is_never_used_twice(make_session):
    first, second = make_session("same"), make_session("same")
    assert first != second
    assert first.is_dir()


def test_a_torn_last_line_is_skipped_and_named(make_session):
    folder = make_session(frames=5)
    path = folder / "training.csv"
    path.write_bytes(path.read_bytes()[:-20])
    session = read_session(folder)
    assert len(session.records) == 4
    assert session.problems == [f"{path}:5: skipped: the last line is torn"]


def test_rows_that_cannot_be_used_are_skipped_and_named(make_session):
    folder = make_session(frames=6)
    path = folder / "training.csv"
    lines = path.read_text().splitlines()
    lines[1] = lines[1].replace("left", "loft")
    lines[2] = "no command here"
    lines[3] = f"../../etc/passwd;{STOP.to_json()};1;1;human"
    (folder / "images" / "00000004.jpg").unlink()
    path.write_text("\n".join(lines) + "\n")
    session = read_session(folder)
    assert [record.sequence for record in session.records] == [0, 5]
    expected = ["'loft' is not known", "has no command", "outside the session", "is not there"]
    for number, (problem, says) in enumerate(zip(session.problems, expected, strict=True), 2):
        assert problem.startswith(f"{path}:{number}: skipped: ")
        assert says in problem


def test_missing_folder_no_recording_and_empty_session(tmp_path):
    with pytest.raises(DataNotFoundError, match="there is no folder"):
        read_session(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"no training\.csv"):
        read_session(tmp_path)
    (tmp_path / "training.csv").touch()
    with pytest.raises(DataError, match="no usable frame; record again"):
        read_session(tmp_path)


def test_a_folder_around_a_session_names_it(make_session):
    folder = make_session(frames=1)
    with pytest.raises(DataNotFoundError, match=f"give {folder}$"):
        read_session(folder.parent)


def test_session_json_of_another_version_or_no_json(make_session):
    folder = make_session(frames=1)
    (folder / "session.json").write_text('{"schema": 99}')
    with pytest.raises(DataError, match="schema 99, this autcar reads 1"):
        read_session(folder)
    (folder / "session.json").write_text("{")
    with pytest.raises(DataError, match="is not JSON"):
        read_session(folder)


def test_a_frame_of_another_size_or_an_unknown_source_is_refused(tmp_path):
    with SessionWriter(tmp_path, width=64, height=48, fps=20) as writer:
        with pytest.raises(DataError, match=r"\(48, 32, 3\)"):
            writer.write(Frame(picture(0, width=32), 0, 0), STOP, "human")
        with pytest.raises(DataError, match="human, pilot"):
            writer.write(Frame(picture(0), 0, 0), STOP, "nobody")
        assert writer.frames == 0


def test_a_full_disk_leaves_no_half_row_and_no_half_image(tmp_path, monkeypatch):
    """A write that the kernel cuts short is undone and reported."""
    writer = SessionWriter(tmp_path, width=64, height=48, fps=20)
    writer.write(Frame(picture(0), 0, 0), STOP, "human")
    whole = (writer.folder / "training.csv").read_bytes()
    real = writer._csv

    class Full:
        closed = False

        def write(self, data):
            return real.write(data[:10])

        def __getattr__(self, name):
            return getattr(real, name)

    monkeypatch.setattr(writer, "_csv", Full())
    with pytest.raises(OSError, match="No space left"):
        writer.write(Frame(picture(1), 1, 1), STOP, "human")
    assert (writer.folder / "training.csv").read_bytes() == whole
    monkeypatch.setattr(writer, "_csv", real)
    writer.close()
    assert len(read_session(writer.folder).records) == 1


KILLED = """
import sys
from autcar.cameras.base import Frame
from autcar.commands import Command
from autcar.recording.session import SessionWriter
from tests.conftest import picture
writer = SessionWriter(sys.argv[1], width=64, height=48, fps=20)
command = Command("left", "light", "forward")
for number in range(100_000):
    writer.write(Frame(picture(number % 50), number, number), command, "human")
    print(number, flush=True)
"""


def test_kill_9_loses_no_acknowledged_frame(tmp_path):
    for _trial in range(3):
        process = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path)], stdout=subprocess.PIPE, text=True
        )
        assert process.stdout
        for _ in range(40):
            acknowledged = int(process.stdout.readline())
        os.kill(process.pid, signal.SIGKILL)
        acknowledged = max([acknowledged, *map(int, process.stdout.read().split())])
        process.wait()
    folders = sorted(tmp_path.iterdir(), key=lambda folder: folder.stat().st_mtime)
    assert len(folders) == 3
    session = read_session(folders[-1])
    assert len(session.records) >= acknowledged + 1
    for record in session.records:
        read_image(record.image)


def test_clock_and_sync(tmp_path, monkeypatch):
    """Everything is forced to the card at least every half second of recording."""
    syncs = []
    now = [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "sync", lambda: syncs.append(now[0]))
    clock = iter([datetime(2000, 1, 1, tzinfo=UTC), datetime(2000, 1, 1, 0, 1, tzinfo=UTC)])
    with SessionWriter(tmp_path, width=64, height=48, fps=20, clock=lambda: next(clock)) as writer:
        for number in range(40):
            now[0] = number * 0.05
            writer.write(Frame(picture(number), number, number), Command("stop"), "human")
    assert all(later - earlier < 0.6 for earlier, later in itertools.pairwise(syncs))
    info = json.loads((writer.folder / "session.json").read_text())
    assert info["ended"] == "2000-01-01T00:01:00+00:00"


def test_deleted_rows_are_left_out_and_can_be_taken_back(make_session):
    folder = make_session(frames=24)
    delete_rows(folder, 0, 3)
    delete_rows(folder, 20, 10**12)
    session = read_session(folder)
    assert [record.row for record in session.records] == list(range(4, 20))
    assert session.deleted == 8
    assert len(read_session(folder, include_deleted=True).records) == 24
    assert undo_delete(folder) == (20, 10**12)
    assert undo_delete(folder) == (0, 3)
    assert undo_delete(folder) is None
    assert len(read_session(folder).records) == 24


def test_a_session_that_is_all_deleted_says_how_to_get_it_back(make_session):
    folder = make_session(frames=3)
    delete_rows(folder, 0, 2)
    with pytest.raises(DataError, match="--undo"):
        read_session(folder)


def test_a_damaged_list_of_deletions_is_named(make_session):
    folder = make_session(frames=3)
    with pytest.raises(DataError, match="no range"):
        delete_rows(folder, 2, 1)
    (folder / "deleted.json").write_text('{"deleted": [[1]]}')
    with pytest.raises(DataError, match=r"deleted\.json"):
        deletions(folder)


def test_an_encoded_image_is_written_as_it_is(tmp_path):
    with SessionWriter(tmp_path, width=64, height=48, fps=20, self_sync=False) as writer:
        writer.append(b"jpeg", 5, 7, STOP, "human")
        writer.sync()
    record = read_session(writer.folder).records[0]
    assert record.image.read_bytes() == b"jpeg"
    assert (record.time_ns, record.sequence, record.source) == (5, 7, "human")
