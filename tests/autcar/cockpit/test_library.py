import os

import pytest

from autcar.cockpit.health import health
from autcar.cockpit.library import Library
from autcar.errors import DataNotFoundError
from autcar.recording.deletion import delete_rows


@pytest.fixture
def library(make_session):
    make_session("old", frames=24)
    folder = make_session("new", frames=12)
    os.utime(folder.parent / "old" / "training.csv", (1, 1))
    (folder.parent / "no session").mkdir()
    return Library(folder.parent)


def test_sessions_are_listed_newest_first(library, make_session):
    new, old = library.sessions()
    assert (new["name"], old["name"]) == ("new", "old")
    assert (old["frames"], old["deleted"], old["row"]) == (24, 0, 12)
    assert old["seconds"] == pytest.approx(23 * 0.05)
    assert old["started"] == "2000-01-01T00:00:00+00:00"


def test_nothing_is_listed_where_nothing_is(tmp_path):
    assert Library(tmp_path / "none").sessions() == []


def test_rows_tell_label_time_and_what_is_deleted(library, tmp_path):
    delete_rows(tmp_path / "recordings" / "new", 3, 5)
    rows = library.rows("new")
    assert rows["row"] == list(range(12))
    assert rows["label"] == list(range(12))
    assert rows["ms"][2] == 100
    assert rows["gone"] == [0, 0, 0, 1, 1, 1, 0, 0, 0, 0, 0, 0]
    assert rows["undo"] == 1
    assert library.sessions()[0]["deleted"] == 3
    assert library.last_row("new") == 11


def test_images_are_given_by_row(library, tmp_path):
    body, kind = library.image("new", 7)
    assert body == (tmp_path / "recordings/new/images/00000007.jpg").read_bytes()
    assert kind == "image/jpeg"
    with pytest.raises(DataNotFoundError):
        library.image("new", 12)
    (tmp_path / "recordings/new/images/00000007.jpg").unlink()
    with pytest.raises(DataNotFoundError):
        library.image("new", 7)


@pytest.mark.parametrize(
    "name",
    [
        *("..", ".", "", "../recordings/new", "new/", "/etc", "no session", "new\0", "./new"),
        *("%2e%2e", "..\\new", "x" * 5000),
    ],
)
def test_no_name_of_a_client_becomes_a_path(library, name):
    for ask in (library.rows, library.folder, lambda name: library.image(name, 0)):
        with pytest.raises(DataNotFoundError):
            ask(name)


def test_a_damaged_list_of_deletions_is_said(library, tmp_path):
    (tmp_path / "recordings/new/deleted.json").write_text("[")
    assert "deleted.json" in library.sessions()[0]["problem"]


def test_health_tells_what_the_computer_tells(tmp_path):
    assert health(tmp_path) == {}
    for path, text in {
        "class/thermal/thermal_zone0/temp": "51234\n",
        "devices/platform/soc/soc:firmware/get_throttled": "50005\n",
        "class/power_supply/BAT0/capacity": "87\n",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True)
        (tmp_path / path).write_text(text)
    assert health(tmp_path) == {
        "temperature_c": 51.2,
        "under_voltage": True,
        "was_under_voltage": True,
        "battery_percent": 87,
    }
