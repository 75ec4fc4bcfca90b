import pytest

from autcar.errors import DataError
from autcar.recording.deletion import delete_rows
from autcar.recording.session import read_session
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


def test_seconds_become_rows(make_session):
    records = read_session(make_session(frames=48)).records
    assert rows_between(records, 0.5, 1.0) == (10, 20)
    with pytest.raises(DataError, match="nothing was recorded"):
        rows_between(records, 100, 200)
