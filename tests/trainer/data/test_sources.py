import shutil
from pathlib import Path

import numpy as np
import pytest

from autcar.commands import CLASSES, LABELS
from autcar.errors import DataError, DataNotFoundError
from autcar.images import encode_jpeg, write_png
from tests.conftest import SHARED_DATA, picture
from trainer.data.batches import ImageCache
from trainer.data.dataset import load_dataset
from trainer.data.sources.masks import COLORS, read_mask
from trainer.data.split import make_split

FOLLOWME = SHARED_DATA / "followme"


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)


def write_pictures(root, places, count=3, size=(16, 12)):
    """``count`` pictures in each of ``places`` below ``root``, PNG and JPEG in turn."""
    for number, place in enumerate(places):
        (root / place).mkdir(parents=True, exist_ok=True)
        for i in range(count):
            image = picture(number * count + i, *size)
            if i % 2:
                (root / place / f"{i}.JPG").write_bytes(encode_jpeg(image))
            else:
                write_png(root / place / f"{i}.png", image)
    return root


def mask_of(hero, height=12, width=16):
    """Red, a green column, and ``hero`` blue pixels."""
    image = np.full((height, width, 3), COLORS["background"], np.uint8)
    image[:, 3] = COLORS["people"]
    image.reshape(-1, 3)[-hero:] = COLORS["hero"] if hero else image[0, 0]
    return image


def write_masked(root, heroes=(0, 20, 5, 2)):
    for number, hero in enumerate(heroes):
        (root / "images").mkdir(parents=True, exist_ok=True)
        (root / "masks").mkdir(exist_ok=True)
        image = encode_jpeg(picture(number, 16, 12))
        (root / "images" / f"run1_cam1_{number:05}.jpeg").write_bytes(image)
        write_png(root / "masks" / f"run1_mask_{number:05}.png", mask_of(hero))
    return root


# Folders of pictures


def test_class_folders_of_any_depth_with_png_and_jpeg_mixed(tmp_path):
    places = ["10/anna", "10/ben/monday", "9/ben", "9"]
    root = write_pictures(tmp_path / "stars", places)
    (root / "9" / "anna.txt").touch()
    (root / ".cache").mkdir()
    dataset = load_dataset(root)
    assert dataset.classes == ("9", "10")
    assert dataset.counts() == {"9": 6, "10": 6}
    assert dataset.group_names == ("9", "9/ben", "10/anna", "10/ben/monday")
    assert dataset.group_sources == ("stars", "ben", "anna", "ben")
    assert [path[-5:] for path in dataset.paths[:3]] == ["0.png", "1.JPG", "2.png"]
    assert dataset.notes == [f"stars: 1 files are no pictures, such as {root}/9/anna.txt"]
    assert ImageCache(dataset, height=12, width=16).usable.all()


def test_folders_named_for_commands_give_the_cars_classes(tmp_path):
    root = write_pictures(tmp_path / "mine", ["stop", "left_harsh_forward"])
    dataset = load_dataset(root)
    assert dataset.classes == LABELS
    assert dataset.counts()["left_medium_forward"] == 3
    assert "left_harsh_forward taken as left_medium_forward" in dataset.notes[0]


def test_classes_that_are_tuples_become_heads(tmp_path):
    root = write_pictures(tmp_path / "shapes", ["blue_21", "blue_7", "red_21"])
    dataset = load_dataset(root, heads=("color", "percentage"))
    assert dataset.heads.heads[1].classes == ("7", "21")
    assert dataset.heads.split(dataset.labels)[0].tolist() == [0, 1]
    write_pictures(root, ["green"])
    with pytest.raises(DataError, match=r"class 'green' has 1 parts.*color_percentage"):
        load_dataset(root, heads=("color", "percentage"))
    with pytest.raises(DataError, match="'drive' are for the 12 commands"):
        load_dataset(root, heads=("drive",))


def test_a_class_folder_without_a_picture_is_an_error(tmp_path):
    root = write_pictures(tmp_path / "stars", ["1", "2"])
    (root / "3" / "anna").mkdir(parents=True)
    with pytest.raises(DataError, match=r"class folder .*/3 has no picture .*delete it"):
        load_dataset(root)


def test_one_class_folder_is_no_set_of_classes(tmp_path):
    with pytest.raises(DataNotFoundError, match="no two folders of pictures"):
        load_dataset(write_pictures(tmp_path / "broken", ["images"]))


def test_empty_cut_and_odd_sized_pictures_are_named_and_left_out(tmp_path):
    root = write_pictures(tmp_path / "stars", ["1", "2"], count=6)
    (root / "1" / "0.png").write_bytes(b"")
    (root / "2" / "3.JPG").write_bytes((root / "2" / "1.JPG").read_bytes()[:200])
    write_png(root / "2" / "4.png", picture(0, 20, 20))
    cache = ImageCache(load_dataset(root), height=12, width=16)
    assert np.flatnonzero(~cache.usable).tolist() == [0, 9, 10]
    assert "is empty (0 bytes)" in cache.problems[0]
    assert "is 20×20, the other images of its recording are 16×12" in cache.problems[-1]


def test_kinds_of_classes_are_not_mixed(tmp_path, make_session):
    stars = write_pictures(tmp_path / "stars", ["1", "2"])
    with pytest.raises(DataError, match=r"has classes such as 1 and .* has commands"):
        load_dataset([stars, make_session(frames=24)])
    with pytest.raises(DataError, match=r"has images with masks and .* has classes such as 1"):
        load_dataset([write_masked(tmp_path / "follow"), stars])
    more = write_pictures(tmp_path / "more", ["2", "3"])
    assert load_dataset([stars, more]).counts() == {"1": 3, "2": 6, "3": 3}


# Where it lies


def test_recordings_lie_in_folders_of_their_driver(make_session):
    parent = make_session("one", frames=12).parent
    (parent / "anna").mkdir()
    make_session("two", frames=12).rename(parent / "anna" / "two")
    dataset = load_dataset(parent)
    assert dataset.group_names == ("two", "one")
    assert dataset.group_sources == ("anna", "2000-01-01")


def test_folders_for_the_parts_are_kept(tmp_path):
    root = tmp_path / "shapes"
    for part in ("train", "valid", "test"):
        write_pictures(root / part, ["a", "b"])
    dataset = load_dataset(root)
    assert dataset.parts.tolist() == [0] * 6 + [1] * 6 + [2] * 6
    split = make_split(dataset)
    assert [part.tolist() for part in (split.train, split.validation, split.test)] == [
        list(range(6)),
        list(range(6, 12)),
        list(range(12, 18)),
    ]


def test_a_class_missing_from_one_folder_is_an_error(tmp_path):
    root = tmp_path / "shapes"
    write_pictures(root / "training", ["a", "b", "c"])
    write_pictures(root / "test", ["a", "b"])
    message = "class 'c' is in the training folder but not in the test folder"
    with pytest.raises(DataError, match=message):
        make_split(load_dataset(root))
    shutil.rmtree(root / "test")
    write_pictures(root / "test", ["a", "b", "c", "d"])
    with pytest.raises(DataError, match="'d' is in the test folder but not in the training"):
        make_split(load_dataset(root))


def test_a_missing_folder_is_taken_from_training(tmp_path):
    root = tmp_path / "shapes"
    write_pictures(root / "training", ["a", "b"], count=40)
    write_pictures(root / "validation", ["a", "b"])
    split = make_split(load_dataset(root))
    assert split.validation.tolist() == list(range(80, 86))
    assert 8 <= len(split.test) <= 16
    assert len(split.train) + len(split.test) == 80
    assert "no folder for test: taken from training" in split.notes[0]


def test_by_folders_needs_folders(make_session):
    with pytest.raises(DataError, match="does not lie in folders training, validation, test"):
        make_split(load_dataset(make_session(frames=24)), "folders")


def test_sources_are_kept_apart(tmp_path):
    players = ("anna", "ben", "cleo", "dora", "emil", "finn")
    root = write_pictures(tmp_path / "s", [f"{label}/{p}" for label in "123" for p in players])
    dataset = load_dataset(root)
    split = make_split(dataset, "source", validation=0.2, test=0.2)
    by_part = [
        {dataset.group_sources[group] for group in dataset.groups[rows]}
        for rows in (split.train, split.validation, split.test)
    ]
    assert set.union(*by_part) == set(players)
    assert sum(map(len, by_part)) == len(players)
    assert all(set(dataset.labels[rows]) == {0, 1, 2} for rows in (split.train, split.test))
    assert "sources kept apart" in split.notes[0]
    with pytest.raises(DataError, match="1 sources cannot make 3 parts"):
        make_split(load_dataset(write_pictures(tmp_path / "t", ["1", "2"])), "source")
    with pytest.raises(DataError, match="'days' is not known; use one of auto, blocks"):
        make_split(dataset, "days")


# Images with masks


def test_images_pair_with_their_masks(tmp_path):
    dataset = load_dataset(write_masked(tmp_path / "follow"))
    assert dataset.classes == ("background", "people", "hero")
    assert dataset.labels.tolist() == [0, 1, 1, 0]
    assert dataset.counts() == {"without hero": 2, "with hero": 2}
    assert [mask[-6:] for mask in dataset.masks] == ["00.png", "01.png", "02.png", "03.png"]
    assert dataset.subset(np.array([2])).masks == [dataset.masks[2]]
    pixels = read_mask(dataset.masks[1])
    assert np.bincount(pixels.ravel(), minlength=3).tolist() == [161, 11, 20]
    before = dataset.digest()
    write_png(tmp_path / "follow" / "masks" / "run1_mask_00001.png", mask_of(100))
    assert dataset.digest() != before


def write_named(root, pairs):
    """Images and masks of the names in ``pairs``; image ``i`` has ``i`` pixels of the hero."""
    for folder in ("images", "masks"):
        (root / folder).mkdir(parents=True)
    for number, (image, mask) in enumerate(pairs):
        write_png(root / "images" / image, picture(number, 16, 12))
        write_png(root / "masks" / mask, mask_of(number))
    return root


@pytest.mark.parametrize(
    ("image", "mask"),
    [
        ("frame{}.png", "frame{}_mask.png"),
        ("image{}.png", "mask{}.png"),
        ("cam{}.png", "cam{}_mask.png"),
        ("photo_{}.png", "truth_{:03}.png"),
    ],
)
def test_numbers_that_are_not_padded_pair_all_the_same(tmp_path, image, mask):
    pairs = {image.format(number): mask.format(number) for number in range(12)}
    dataset = load_dataset(write_named(tmp_path / "follow", pairs.items()))
    found = [
        (Path(path).name, Path(truth).name)
        for path, truth in zip(dataset.paths, dataset.masks, strict=True)
    ]
    assert len(found) == 12
    assert dict(found) == pairs


@pytest.mark.parametrize(
    "pairs",
    [
        [("a1.png", "b1.png"), ("a2.png", "b3.png")],
        [("anna.png", "x.png"), ("ben.png", "y.png")],
        [("anna_1.png", "x_1.png"), ("ben_1.png", "y_1.png")],
    ],
)
def test_names_that_say_nothing_pair_nothing(tmp_path, pairs):
    root = write_named(tmp_path / "follow", pairs)
    with pytest.raises(
        DataError, match=r"images/.*png and mask .*masks/.*png would be .*like its image"
    ):
        load_dataset(root)


def test_as_many_images_and_masks_of_other_names_are_an_error(tmp_path):
    pairs = [("a_cam1.png", "a_mask.png"), ("a_cam2.png", "b_mask.png"), ("b.png", "mask_b.png")]
    with pytest.raises(DataError, match=r"a_cam2\.png has no mask"):
        load_dataset(write_named(tmp_path / "follow", pairs))


def test_a_mask_kept_as_jpeg_is_read_by_its_nearest_colours(tmp_path):
    mask = np.repeat(np.repeat(mask_of(20), 8, axis=0), 8, axis=1)
    path = tmp_path / "mask.jpg"
    path.write_bytes(encode_jpeg(mask, 95))
    write_png(tmp_path / "mask.png", mask)
    assert (read_mask(path) == read_mask(tmp_path / "mask.png")).mean() > 0.98


def test_an_unknown_colour_in_a_mask_is_named(tmp_path):
    root = write_masked(tmp_path / "follow")
    wrong = mask_of(5)
    wrong[2, 7] = (10, 20, 30)
    write_png(root / "masks" / "run1_mask_00001.png", wrong)
    dataset = load_dataset(root)
    assert len(dataset) == 3
    (problem,) = dataset.problems
    assert "run1_mask_00001.png has 1 pixels of no known colour" in problem
    assert "(10, 20, 30) in column 7 of row 2; expected (255, 0, 0) for background" in problem
    for path in (root / "masks").iterdir():
        write_png(path, wrong)
    with pytest.raises(DataError, match="not one of 4 masks .*first problem: mask"):
        load_dataset(root)


@pytest.mark.parametrize(("folder", "what"), [("masks", "mask"), ("images", "image")])
def test_an_image_or_mask_alone_is_named(tmp_path, folder, what):
    root = write_masked(tmp_path / "follow")
    sorted((root / folder).iterdir())[2].unlink()
    with pytest.raises(DataError, match=rf"_00002\.\w+ has no {what}; add it"):
        load_dataset(root)


def test_masks_without_images_are_an_error(tmp_path):
    (tmp_path / "follow" / "images").mkdir(parents=True)
    (tmp_path / "follow" / "masks").mkdir()
    with pytest.raises(DataError, match="has no image"):
        load_dataset(tmp_path / "follow")


@pytest.mark.skipif(not FOLLOWME.is_dir(), reason=f"{FOLLOWME} is not here")
def test_the_real_follow_me_masks(tmp_path):
    for part in ("train", "validation"):
        for kind in ("images", "masks"):
            (tmp_path / "f" / part / kind).mkdir(parents=True)
            for path in sorted((FOLLOWME / part / kind).iterdir())[::10]:
                (tmp_path / "f" / part / kind / path.name).symlink_to(path)
    dataset = load_dataset(tmp_path / "f")
    assert (dataset.problems, len(dataset)) == ([], 414 + 119)
    assert 0.3 < dataset.labels[dataset.parts == 0].mean() < 0.5
    assert "for test: taken from training" in make_split(dataset).notes[0]


def test_commands_are_told_in_one_place(make_session):
    dataset = load_dataset(make_session(frames=24), heads=("drive",))
    assert [head.name for head in dataset.heads.heads] == ["turn", "strength", "direction"]
    assert len(dataset.heads.classes) == len(CLASSES)
