import signal
import subprocess
import sys

import pytest

from autcar.commands import STOP
from autcar.errors import DataError
from autcar.recording.deletion import delete_rows, deletions
from autcar.recording.session import SessionWriter, read_session
from autcar.recording.trim import empty, rows_between


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


def test_a_session_that_is_being_recorded_is_not_emptied(tmp_path):
    with SessionWriter(tmp_path, width=64, height=48, fps=20) as writer:
        for number in range(40):
            writer.append(b"jpeg", number, number, STOP, "human")
        delete_rows(writer.folder, 30, 39)
        with pytest.raises(DataError, match="is being recorded; finish it first"):
            empty(writer.folder)
        assert deletions(writer.folder) == [(30, 39)]
        for number in range(40, 80):
            writer.append(b"jpeg", number, number, STOP, "human")
    assert empty(writer.folder) == 10
    assert len(read_session(writer.folder).records) == 70


KILLED = """
import os, signal, sys
from autcar.commands import STOP
from autcar.recording.session import SessionWriter
writer = SessionWriter(sys.argv[1], width=64, height=48, fps=20, name="killed")
for number in range(4):
    writer.append(b"jpeg", number, number, STOP, "human")
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_session_whose_recorder_was_killed_is_emptied(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, tmp_path], check=False)
    assert done.returncode == -signal.SIGKILL
    delete_rows(tmp_path / "killed", 0, 1)
    assert empty(tmp_path / "killed") == 2


def test_seconds_become_rows(make_session):
    records = read_session(make_session(frames=48)).records
    assert rows_between(records, 0.5, 1.0) == (10, 20)
    with pytest.raises(DataError, match="nothing was recorded"):
        rows_between(records, 100, 200)
