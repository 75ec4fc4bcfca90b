import json
import shutil

import numpy as np
import pytest

from autcar.commands import CLASSES, LABELS, Command
from autcar.errors import DataError, DataNotFoundError
from autcar.images import encode_jpeg
from tests.conftest import SHARED_DATA, picture
from trainer.data.dataset import load_dataset

REAL_TUB = SHARED_DATA / "tub_formula_usi"
needs_real_tub = pytest.mark.skipif(not REAL_TUB.is_dir(), reason=f"{REAL_TUB} is not here")


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """No power is cut here: forcing the whole disk each time is all that would take long."""
    monkeypatch.setattr("os.sync", lambda: None)


def write_autcar_folder(folder, commands):
    folder.mkdir()
    rows = [f"{i}_car_snapshot.png;{command}\r\n" for i, command in enumerate(commands)]
    (folder / "training.csv").write_text("".join(rows))
    for i in range(len(commands)):
        (folder / f"{i}_car_snapshot.png").write_bytes(encode_jpeg(picture(i)))
    return folder


def write_tub(folder, angles, twins=()):
    """A tub whose image ``i`` has the bytes of image ``j`` for each (i, j) of ``twins``."""
    (folder / "images").mkdir(parents=True)
    rows = []
    for i, angle in enumerate(angles):
        name = f"{i}_cam_image_array_.jpg"
        (folder / "images" / name).write_bytes(encode_jpeg(picture(dict(twins).get(i, i))))
        row = {"_index": i, "_timestamp_ms": 50 * i, "cam/image_array": name}
        rows.append(json.dumps(row | {"user/angle": angle, "user/throttle": 0.3}))
    (folder / "catalog_0.catalog").write_text("\n".join(rows))
    last = {"paths": ["catalog_0.catalog"], "deleted_indexes": [len(angles) - 1]}
    (folder / "manifest.json").write_text("\n".join(map(json.dumps, [[], [], {}, {}, last])))
    return folder


def test_a_session_becomes_columns(make_session):
    folder = make_session(frames=24)
    dataset = load_dataset([folder])
    assert dataset.paths[3] == str(folder / "images" / "00000003.jpg")
    assert dataset.labels.tolist() == [*range(12), *range(12)]
    assert dataset.times_ns.tolist() == [i * 50_000_000 for i in range(24)]
    assert (dataset.labels.dtype, dataset.times_ns.dtype) == (np.int16, np.int64)
    assert (dataset.groups.dtype, set(dataset.groups.tolist())) == (np.int32, {0})
    assert dataset.group_names == ("session",)
    assert dataset.classes == LABELS
    assert dataset.counts() == dict.fromkeys(LABELS, 2)
    assert (dataset.problems, dataset.notes) == ([], [])


def test_a_folder_of_sessions_is_read_by_name_one_group_each(make_session):
    make_session("b", frames=12)
    parent = make_session("a", frames=24).parent
    for inputs in ([parent], parent, str(parent)):
        dataset = load_dataset(inputs)
        assert dataset.group_names == ("a", "b")
        assert np.bincount(dataset.groups).tolist() == [24, 12]


def test_what_is_given_twice_is_read_once(make_session):
    folder = make_session(frames=12)
    dataset = load_dataset([folder, folder.parent, folder.parent / ".." / "recordings"])
    assert len(dataset) == 12
    assert "given twice and is read once" in dataset.notes[0]


def test_a_subset_keeps_the_columns_together(make_session):
    dataset = load_dataset(make_session(frames=24))
    subset = dataset.subset(np.array([5, 17, 2]))
    assert [path[-6:-4] for path in subset.paths] == ["05", "17", "02"]
    assert subset.labels.tolist() == [5, 5, 2]
    assert len(subset) == 3
    assert subset.counts()[LABELS[5]] == 2


def test_the_digest_is_the_datas_not_the_places(make_session, tmp_path):
    folder = make_session(frames=24)
    digest = load_dataset(folder).digest()
    assert len(digest) == 64
    copy = shutil.copytree(folder, tmp_path / "elsewhere" / "copy")
    assert load_dataset(copy).digest() == digest
    with open(copy / "images" / "00000003.jpg", "ab") as file:
        file.write(b"more")
    assert load_dataset(copy).digest() != digest
    dataset = load_dataset(folder)
    dataset.labels[0] = 5
    assert dataset.digest() != digest
    (folder / "images" / "00000000.jpg").unlink()
    assert len(dataset.digest()) == 64


def test_autcars_recordings_get_a_nominal_spacing_and_say_so(tmp_path):
    commands = [
        "{'type': 'stop'}",
        "{'speed': 'medium', 'direction': 'forward', 'type': 'move'}",
        "{'direction': 'forward', 'type': 'left', 'style': 'harsh'}",
        "{'direction': 'forward', 'type': 'left', 'style': 'harsh'}",
    ]
    dataset = load_dataset(write_autcar_folder(tmp_path / "old", commands))
    labels = ["stop", "move_medium_forward", "left_medium_forward", "left_medium_forward"]
    assert [LABELS[label] for label in dataset.labels] == labels
    assert np.diff(dataset.times_ns).tolist() == [500_000_000] * 3
    assert "old: 2 frames of left_harsh_forward taken as left_medium_forward" in dataset.notes
    assert "old: no capture times; frames taken as 0.5 s apart" in dataset.notes
    assert dataset.notes[-1].startswith("no frame of left_light_backwards, left_light_forward, ")


def test_rows_out_of_time_are_put_in_order(make_session):
    folder = make_session(frames=12)
    rows = (folder / "training.csv").read_text().splitlines()
    (folder / "training.csv").write_text("\n".join(reversed(rows)) + "\n")
    dataset = load_dataset(folder)
    assert dataset.labels.tolist() == list(range(12))
    assert dataset.paths[0].endswith("00000000.jpg")
    assert "put in the order of their capture times" in dataset.notes[0]


def test_a_tub_becomes_commands_by_the_stated_mapping(tmp_path):
    dataset = load_dataset(write_tub(tmp_path / "tub", [0, -0.2, 0.8, 0, 0, 0]))
    labels = ["move_medium_forward", "left_light_forward", "right_medium_forward"]
    assert [LABELS[label] for label in dataset.labels[:3]] == labels
    assert len(dataset) == 5
    assert "nothing taken as fast" in dataset.notes[0]
    assert dataset.notes[1] == "tub: 1 frames flagged as deleted left out"
    assert len(load_dataset(tmp_path / "tub", include_deleted=True)) == 6


def test_byte_identical_twins_are_dropped_and_noted(tmp_path):
    # 1 repeats 0 with the same command; 4 repeats 3 with another one.
    folder = write_tub(tmp_path / "tub", [0, 0, 0.8, 0, 0.8, 0, 0], twins=[(1, 0), (4, 3)])
    dataset = load_dataset(folder)
    assert [path.rsplit("/", 1)[1][0] for path in dataset.paths] == ["0", "2", "5"]
    assert len(dataset.labels) == len(dataset.times_ns) == len(dataset.groups) == 3
    assert (
        "tub: 2 images stand there more than once, byte for byte; "
        "frames left out: 1 repeats, 2 whose commands contradict" in dataset.notes
    )


def test_a_missing_folder(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"there is no folder .*nowhere; check the path"):
        load_dataset([tmp_path / "nowhere"])
    (tmp_path / "notes.txt").touch()
    with pytest.raises(DataNotFoundError, match=r"notes.txt is a file; give a folder"):
        load_dataset([tmp_path / "notes.txt"])


def test_a_folder_without_recordings(tmp_path):
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataNotFoundError, match=r"holds no recording.*autcar record"):
        load_dataset([tmp_path])
    with pytest.raises(DataError, match="no folder: no usable recording"):
        load_dataset([])


def test_an_empty_session_is_an_error_alone_and_a_problem_among_others(make_session):
    empty = make_session("empty", frames=0)
    with pytest.raises(DataError, match=r"empty has no usable frame; record again"):
        load_dataset(empty)
    with pytest.raises(DataError, match=r"no usable recording; first problem: .*empty has no"):
        load_dataset(empty.parent)
    make_session("full", frames=12)
    dataset = load_dataset(empty.parent)
    assert len(dataset) == 12
    assert "empty has no usable frame" in dataset.problems[0]
    with pytest.raises(DataError, match="empty has no usable frame"):
        load_dataset([empty.parent / "full", empty])


def test_a_torn_line_and_an_unparsable_command_are_skipped_and_named(make_session):
    folder = make_session(frames=12)
    text = (folder / "training.csv").read_text()
    text = text.replace('"type": "stop"', '"type": "fly"')
    (folder / "training.csv").write_text(text + 'images/00000012.jpg;{"type": "mo')
    dataset = load_dataset(folder)
    assert len(dataset) == 11
    assert "training.csv:12: skipped: {'type': 'fly'} is not a command" in dataset.problems[0]
    assert "training.csv:13: skipped: the last line is torn" in dataset.problems[1]


def test_an_image_that_is_gone_is_named(make_session):
    folder = make_session(frames=12)
    (folder / "images" / "00000004.jpg").unlink()
    dataset = load_dataset(folder)
    assert len(dataset) == 11
    assert "00000004.jpg is not there" in dataset.problems[0]


def test_one_class_is_not_enough(make_session):
    folder = make_session(frames=5, commands=lambda index: Command.from_label("stop"))
    with pytest.raises(DataError, match=r"only one class .* all 5 frames are stop.*autcar record"):
        load_dataset(folder)


def test_classes_without_data_are_allowed_and_named(make_session):
    dataset = load_dataset(make_session(frames=12, commands=lambda index: CLASSES[index % 11]))
    assert dataset.counts()["stop"] == 0
    assert dataset.notes == ["no frame of stop: these cannot be learned"]


@needs_real_tub
def test_the_real_tub():
    dataset = load_dataset(REAL_TUB, include_deleted=True)
    assert len(dataset) == 19_337 - 72 - 26
    assert dataset.counts()["right_light_backwards"] == 0
    assert dataset.counts()["move_medium_forward"] == 6_484
    assert len(dataset.group_names) == 22
    assert any("fast from 0.47 (75th percentile" in note for note in dataset.notes)
    assert any("85 images stand there more than once" in note for note in dataset.notes)
