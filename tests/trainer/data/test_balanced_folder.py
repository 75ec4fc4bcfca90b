import os
import shutil
from pathlib import Path

import numpy as np
import pytest

from autcar.commands import CLASSES
from autcar.errors import DataError, DataNotFoundError
from autcar.images import read_image
from trainer.data.balanced_folder import (
    create_balanced_folder,
    get_classes,
    load_balanced_folder,
    load_map,
)
from trainer.data.dataset import load_dataset
from trainer.data.split import split_by_time


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """No power is cut here: forcing the whole disk each time is all that would take long."""
    monkeypatch.setattr("os.sync", lambda: None)


@pytest.fixture
def recordings(make_session):
    """Two sessions of 15 s that change class twice a second, ``stop`` rare."""

    def commands(index):
        return CLASSES[(index // 10) % 11] if index % 150 > 5 else CLASSES[11]

    make_session("one", frames=300, commands=commands)
    return make_session("two", frames=300, commands=commands, first=300).parent


@pytest.fixture
def balanced(recordings, tmp_path):
    create_balanced_folder(recordings, tmp_path / "balanced", 0.7)
    return tmp_path / "balanced"


def map_lines(folder, name):
    return [line.split("\t") for line in (folder / name).read_text().splitlines()]


def test_maps_name_images_and_labels_as_autcar_does(balanced):
    train, test = map_lines(balanced, "train_map.txt"), map_lines(balanced, "test_map.txt")
    for path, label in (*train, *test):
        assert Path(path).is_absolute()
        assert Path(path).name.startswith("image_")
        assert label in [command.label for command in CLASSES]
    assert read_image(train[0][0]).shape == (48, 64, 3)
    assert not {path for path, _ in train} & {path for path, _ in test}


def test_only_the_training_part_is_balanced_and_by_lines(balanced, recordings):
    train, test = map_lines(balanced, "train_map.txt"), map_lines(balanced, "test_map.txt")
    counts = get_classes(balanced)
    assert sum(counts.values()) == len(train)
    assert max(counts.values()) == sorted(counts.values())[1]
    assert "stop" in counts
    assert len({path for path, _ in train}) < len(train)
    assert len({path for path, _ in test}) == len(test)
    images = [entry for entry in os.scandir(balanced) if entry.name.endswith(".jpg")]
    assert len(images) == len({path for path, _ in (*train, *test)})
    assert all(entry.stat().st_nlink == 2 for entry in images)


def test_no_test_frame_is_within_the_gap_of_a_training_frame(recordings, tmp_path, balanced):
    read = load_balanced_folder(balanced)
    assert read.dataset.notes == []
    times, groups = read.dataset.times_ns, np.array(read.dataset.group_names)[read.dataset.groups]
    for test in read.test:
        near = groups[read.train] == groups[test]
        if near.any():
            assert np.abs(times[read.train[near]] - times[test]).min() > 1e9


def test_what_was_done_is_said(recordings, tmp_path):
    said = "\n".join(create_balanced_folder([recordings], tmp_path / "out"))
    assert "closer than 1 s to another part left out" in said
    assert "balanced by showing rare classes more often" in said
    assert f"{tmp_path / 'out'}: " in said


def test_classes_stand_in_the_order_they_first_occur(balanced):
    firsts = list(dict.fromkeys(label for _, label in map_lines(balanced, "train_map.txt")))
    assert list(get_classes(balanced)) == firsts
    with pytest.raises(DataNotFoundError, match="create_balanced_dataset"):
        get_classes(balanced / "nowhere")
    with pytest.raises(DataNotFoundError, match="create_balanced_dataset"):
        load_balanced_folder(balanced / "nowhere")


def test_a_map_is_read_each_image_once_and_a_row_a_line(balanced):
    dataset, rows = load_map(balanced / "train_map.txt")
    lines = map_lines(balanced, "train_map.txt")
    assert len(rows) == len(lines) > len(dataset) == len(set(dataset.paths))
    assert [dataset.paths[row] for row in rows] == [path for path, _ in lines]
    assert [dataset.classes[dataset.labels[row]] for row in rows] == [label for _, label in lines]
    assert len(dataset.group_names) == 2
    split = split_by_time(dataset, test=0.0)
    assert len(split.validation)
    assert len(load_dataset(balanced)) == len(dataset)
    assert len(load_dataset(balanced / "test_map.txt")) == len(
        load_map(balanced / "test_map.txt")[1]
    )


def test_a_moved_folder_is_still_read(balanced, tmp_path):
    moved = balanced.rename(tmp_path / "moved")
    dataset, _ = load_map(moved / "test_map.txt")
    assert dataset.paths[0].startswith(str(moved))


def test_autcars_own_folder_is_read(balanced):
    (balanced / "frames.csv").unlink()
    for name in ("train_map.txt", "test_map.txt"):
        text = (balanced / name).read_text().replace(str(balanced), "path/to/balanced")
        (balanced / name).write_text(text)
    read = load_balanced_folder(balanced)
    assert "no capture times" in read.dataset.notes[0]
    assert len(read.dataset.group_names) == 2


def test_a_map_whose_images_are_gone(balanced):
    images = sorted({path for path, _ in map_lines(balanced, "test_map.txt")})
    first = map_lines(balanced, "test_map.txt")[0][0]
    for path in images:
        Path(path).unlink()
    with pytest.raises(DataError) as caught:
        load_map(balanced / "test_map.txt")
    message = str(caught.value)
    assert f"test_map.txt names {len(images)} images, {len(images)} of them are gone" in message
    assert f"the first is {first}" in message
    assert "create_balanced_dataset" in message


def test_a_map_that_is_none(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"there is no map file .*test_map\.txt; make it"):
        load_map(tmp_path / "test_map.txt")
    (tmp_path / "test_map.txt").write_text("image_0.png;stop\n")
    with pytest.raises(
        DataError, match=r"names no image; first problem: .*test_map\.txt:1: skipped"
    ):
        load_map(tmp_path / "test_map.txt")


def test_an_earlier_balanced_folder_is_replaced_whole(balanced, recordings, tmp_path):
    (balanced / "image_0_of_yesterday.jpg").write_bytes(b"")
    before = (balanced / "train_map.txt").read_text()
    create_balanced_folder(recordings, balanced, 0.7)
    assert (balanced / "train_map.txt").read_text() == before
    assert not (balanced / "image_0_of_yesterday.jpg").exists()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["balanced", "recordings"]


def test_any_other_folder_is_refused_untouched(recordings, tmp_path):
    thesis = tmp_path / "thesis"
    thesis.mkdir()
    (thesis / "thesis.tex").write_text("ten years of work")
    with pytest.raises(
        DataError, match=r"thesis is there and is no balanced folder.*name another"
    ):
        create_balanced_folder(recordings, thesis)
    assert (thesis / "thesis.tex").read_text() == "ten years of work"
    (thesis / "thesis.tex").unlink()
    create_balanced_folder(recordings, thesis)


def test_a_folder_is_never_made_from_itself(balanced):
    with pytest.raises(DataError, match="which would be replaced; name another"):
        create_balanced_folder(balanced / "train_map.txt", balanced)
    assert load_balanced_folder(balanced)


def test_an_interrupted_making_leaves_what_was_there(balanced, recordings, tmp_path, monkeypatch):
    before = (balanced / "train_map.txt").read_text()
    monkeypatch.setattr("trainer.data.balanced_folder._write_frames", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        create_balanced_folder(recordings, balanced, 0.5)
    assert (balanced / "train_map.txt").read_text() == before
    assert sorted(path.name for path in tmp_path.iterdir()) == ["balanced", "recordings"]


def test_a_swap_that_fails_puts_back_what_was_there(balanced, recordings, tmp_path, monkeypatch):
    rename = Path.rename

    def failing(path, target):
        if ".new." in path.name:
            raise OSError("not today")
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", failing)
    with pytest.raises(OSError, match="not today"):
        create_balanced_folder(recordings, balanced)
    assert load_balanced_folder(balanced)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["balanced", "recordings"]


def test_a_full_disk_is_told(recordings, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    for module, way in ((os, "link"), (os, "symlink"), (shutil, "copyfile")):
        monkeypatch.setattr(module, way, full)
    with pytest.raises(OSError, match="No space left"):
        create_balanced_folder(recordings, tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("working", ["symlink", "copyfile"])
def test_where_links_are_refused_the_next_way_is_taken(recordings, tmp_path, monkeypatch, working):
    def refuse(*_):
        raise OSError("not on this file system")

    monkeypatch.setattr(os, "link", refuse)
    if working == "copyfile":
        monkeypatch.setattr(os, "symlink", refuse)
    create_balanced_folder(recordings, tmp_path / "out")
    images = list((tmp_path / "out").glob("*.jpg"))
    assert all(image.is_symlink() == (working == "symlink") for image in images)
    assert read_image(images[0]).shape == (48, 64, 3)
    shutil.rmtree(tmp_path / "out")


@pytest.mark.parametrize("share", [0, 1, 1.5, -1])
def test_a_share_to_train_on_is_between_0_and_1(recordings, tmp_path, share):
    with pytest.raises(DataError, match=f"train_test_split {share} is the share to train on"):
        create_balanced_folder(recordings, tmp_path / "out", share)
