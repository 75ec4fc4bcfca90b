import ast
import csv
import errno
import io
import itertools
import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import numpy as np
import pytest

from autcar.cameras.base import Frame
from autcar.commands import CLASSES, LABELS, STOP, Command
from autcar.errors import DataError, DataNotFoundError
from autcar.files import new_folder, write_atomic
from autcar.images import read_image
from autcar.recording.deletion import delete_rows, deletions, undo_delete
from autcar.recording.session import SessionWriter, read_rows, read_session
from tests.conftest import picture


def test_what_is_written_is_read_back(make_session):
    folder = make_session(frames=24)
    session = read_session(str(folder))
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
    for damaged in ("[[1]]", "[[1e999, 2]]", "[[-30000000, 2]]", "[[3, 2]]", "[" * 100_000):
        (folder / "deleted.json").write_text(f'{{"deleted": {damaged}}}')
        with pytest.raises(DataError, match=r"deleted\.json"):
            read_session(folder)


def test_deletions_of_several_threads_are_all_there(make_session):
    folder = make_session(frames=3)

    def delete(row):
        for _ in range(5):
            delete_rows(folder, row, row)

    threads = [threading.Thread(target=delete, args=(row,)) for row in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert Counter(deletions(folder)) == {(row, row): 5 for row in range(8)}


def test_two_threads_that_replace_one_file_do_not_disturb_each_other(tmp_path, monkeypatch):
    both = threading.Barrier(2)
    monkeypatch.setattr(os, "fsync", lambda file: both.wait(5))
    with ThreadPoolExecutor() as threads:
        done = [threads.submit(write_atomic, tmp_path / "file", text) for text in ("one", "two")]
        for each in done:
            each.result()
    assert (tmp_path / "file").read_text(encoding="utf-8") in ("one", "two")
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


def test_an_encoded_image_is_written_as_it_is(tmp_path):
    with SessionWriter(tmp_path, width=64, height=48, fps=20, self_sync=False) as writer:
        writer.append(b"jpeg", 5, 7, STOP, "human")
        writer.sync()
    record = read_session(writer.folder).records[0]
    assert record.image.read_bytes() == b"jpeg"
    assert (record.time_ns, record.sequence, record.source) == (5, 7, "human")


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch):
    path = tmp_path / "session.json"
    write_atomic(path, "old")
    sizes = []
    with monkeypatch.context() as disk:
        disk.setattr(os, "fsync", lambda file: sizes.append(os.fstat(file).st_size))
        write_atomic(path, "neü")
    assert sizes == [4], "all of it is forced to the card before it takes the old one's place"
    assert path.read_text(encoding="utf-8") == "neü"

    def full(file):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        write_atomic(path, "newer")
    assert path.read_text(encoding="utf-8") == "neü"
    assert [found.name for found in tmp_path.iterdir()] == ["session.json"]


def test_an_image_that_cannot_be_written_leaves_neither_itself_nor_a_row(tmp_path, monkeypatch):
    with SessionWriter(tmp_path, width=64, height=48, fps=20) as writer:
        writer.append(b"\x89PNG whole", 1, 1, STOP, "human")
        beside = writer.folder / "images/00000001.jpg"
        beside.write_bytes(b"somebody else's")
        with pytest.raises(FileExistsError):
            writer.append(b"jpeg", 2, 2, STOP, "human")
        assert beside.read_bytes() == b"somebody else's"
        beside.unlink()
        monkeypatch.setattr("builtins.open", full_disk)
        with pytest.raises(OSError, match="No space left"):
            writer.append(b"jpeg", 2, 2, STOP, "human")
        monkeypatch.undo()
        assert not beside.exists()
        assert (writer.frames, writer.counts) == (1, {"stop": 1})
        writer.append(b"jpeg", 2, 2, STOP, "human")
    records = read_session(writer.folder).records
    assert [record.image.name for record in records] == ["00000000.png", "00000001.jpg"]


def full_disk(path, mode="r", **options):
    """Opens files of which only the first bytes can be written."""
    file = io.open(path, mode, **options)  # noqa: SIM115, UP020
    write = file.write

    class Full:
        def __enter__(self):
            return self

        def __exit__(self, *error):
            file.close()

        def write(self, data):
            write(data[:2])
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    return Full()


def test_a_folder_is_never_used_twice(tmp_path, monkeypatch):
    assert [new_folder(tmp_path / "deep/new", "lap").name for _ in range(3)] == [
        "lap",
        "lap_2",
        "lap_3",
    ]

    def taken(folder, *_, **__):
        raise FileExistsError

    monkeypatch.setattr("pathlib.Path.mkdir", lambda *_, **options: options or taken(None))
    with pytest.raises(DataError, match="already holds 9,999 folders named lap; choose another"):
        new_folder(tmp_path, "lap")


def rows(folder, *lines):
    """A recording of these rows, each with an image of its own."""
    folder.mkdir(exist_ok=True)
    for number in range(len(lines)):
        (folder / f"{number}.jpg").write_bytes(b"x")
    text = "".join(f"{n}.jpg;{STOP.to_json()}{line}\n" for n, line in enumerate(lines))
    (folder / "training.csv").write_text(text)
    return folder


def test_what_a_row_may_leave_out(tmp_path):
    folder = rows(tmp_path / "lap", "", ";", ";5", ";5;", ";5;70;", ";0;70;pilot", f";{2**63 - 1}")
    path = folder / "training.csv"
    path.write_text(path.read_text().replace("1.jpg", "\n1.jpg", 1) + "   ")
    session = read_session(folder)
    assert session.problems == []
    found = [(r.row, r.time_ns, r.sequence, r.source) for r in session.records]
    assert found == [
        (0, None, 0, "unknown"),
        (2, None, 2, "unknown"),
        (3, 5, 3, "unknown"),
        (4, 5, 4, "unknown"),
        (5, 5, 70, "unknown"),
        (6, 0, 70, "pilot"),
        (7, 2**63 - 1, 7, "unknown"),
    ]
    assert (session.info, session.deleted) == ({}, 0)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (";-1", "capture time -1 is no time in ns"),
        (f";{2**63}", "is no time in ns"),
        (";soon", "invalid literal"),
        (";5;x", "invalid literal"),
    ],
)
def test_a_row_that_says_nonsense_is_named(tmp_path, line, says):
    folder = rows(tmp_path / "lap", "", line)
    (problem,) = read_session(folder).problems
    assert problem.startswith(f"{folder}/training.csv:2: skipped: ")
    assert says in problem
    (folder / "0.jpg").unlink()
    with pytest.raises(DataError, match="no usable frame; first problem: .*:1: skipped: image"):
        read_session(folder)


@pytest.mark.parametrize("image", ["/etc/passwd", "../0.jpg", "images/../../0.jpg", "there/0.jpg"])
def test_an_image_lies_in_the_session_or_is_not_read(tmp_path, image):
    folder = rows(tmp_path / "lap", "")
    (tmp_path / "0.jpg").write_bytes(b"x")
    with open(folder / "training.csv", "a") as file:
        file.write(f"{image};{STOP.to_json()}\n")
    session = read_session(folder)
    assert len(session.records) == 1
    (problem,) = session.problems
    assert image in problem
    assert ("is not there" if image == "there/0.jpg" else "lies outside the session") in problem


@pytest.mark.parametrize(
    ("text", "says"), [("[]", "has schema list, this"), ('{"schema": 2}', "has schema 2, this")]
)
def test_a_session_json_that_is_not_ours(tmp_path, text, says):
    folder = rows(tmp_path / "lap", "")
    (folder / "session.json").write_text(text)
    with pytest.raises(DataError, match=says):
        read_session(folder)
    (folder / "session.json").write_text("{}")
    assert read_session(folder).info == {}


def test_deleting_counts_only_rows_that_are_there_and_leaves_no_empty_list(tmp_path):
    folder = rows(tmp_path / "lap", "", "", "")
    delete_rows(folder, 0, 0)
    delete_rows(folder, 1, 1)
    delete_rows(folder, 1, 1)
    session = read_session(folder)
    assert ([record.row for record in session.records], session.deleted) == ([2], 2)
    everything = read_session(folder, include_deleted=True)
    assert (len(everything.records), everything.deleted) == (3, 2)
    for _ in range(3):
        assert (folder / "deleted.json").exists()
        undo_delete(folder)
    assert not (folder / "deleted.json").exists()
    for first, last in ((-1, 0), (2, 1)):
        with pytest.raises(DataError, match=f"rows {first} to {last} are no range"):
            delete_rows(folder, first, last)


def test_the_owner_may_sync_in_the_writers_stead(tmp_path, monkeypatch):
    syncs, now = [], [0.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(os, "sync", lambda: syncs.append(now[0]))
    with SessionWriter(tmp_path, width=64, height=48, fps=20, self_sync=False) as writer:
        now[0] = 9.0
        writer.append(b"jpeg", 1, 1, STOP, "human")
        assert syncs == []
        writer.sync()
    assert syncs == [9.0, 9.0]
    writer.close()
    assert len(syncs) == 2
    with SessionWriter(tmp_path, width=64, height=48, fps=20) as writer:
        for second in (9.5, 9.6, 10.0, 10.2):
            now[0] = second
            writer.append(b"jpeg", 1, 1, STOP, "human")
        assert syncs[2:] == [9.6, 10.2]
    info = json.loads((writer.folder / "session.json").read_text())
    assert (info["frames"], info["car"], info["vocabulary"]) == (4, "autcar", list(LABELS))
    assert info["ended"] >= info["started"]
    assert sum(writer.counts.values()) == 4


def test_a_session_says_what_it_is_from_its_first_moment(tmp_path):
    writer = SessionWriter(tmp_path, width=64, height=48, fps=20)
    info = json.loads((writer.folder / "session.json").read_text())
    assert (info["camera"]["fps"], info["ended"], info["frames"]) == (20, None, None)
    writer.append(b"jpeg", None, 3, STOP, "unknown")
    writer.close()
    (record,) = read_session(writer.folder).records
    assert (record.time_ns, record.sequence) == (None, 3)


def test_rows_are_read_without_what_was_deleted(tmp_path):
    folder = rows(tmp_path / "lap", "", "")
    delete_rows(folder, 0, 0)
    assert [row.row for row in read_rows(folder).rows] == [1]
    assert [row.row for row in read_rows(folder, include_deleted=True).rows] == [0, 1]
