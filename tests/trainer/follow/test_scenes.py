from dataclasses import replace

import numpy as np
import pytest

from autcar.errors import DataError
from autcar.images import write_png
from tests.trainer.people import scene, write_people
from trainer.data.dataset import load_dataset
from trainer.follow.scenes import PLAIN, Crops, Cutting, Scenes

CROP = 32


@pytest.fixture
def scenes(tmp_path):
    return Scenes(load_dataset(write_people(tmp_path / "people", 12)), height=64, width=64)


def crops(scenes, **how):
    return Crops(scenes, np.arange(12), **{"size": CROP, "count": 4, "batch_size": 8, **how})


def test_scenes_hold_each_image_with_its_mask(scenes):
    image, mask = scene(4)
    assert scenes.images.shape == (12, 64, 64, 3)
    np.testing.assert_array_equal(scenes.images[4], image)
    np.testing.assert_array_equal(scenes.masks[4], mask.argmax(axis=2))
    assert scenes.usable.all()


def test_images_and_masks_take_another_size_together(tmp_path):
    dataset = load_dataset(write_people(tmp_path / "people", 4))
    small = Scenes(dataset, height=32, width=48)
    assert small.images.shape == (4, 32, 48, 3)
    assert set(np.unique(small.masks)) == {0, 1, 2}


def test_a_mask_of_another_size_than_its_image_is_named_and_left_out(tmp_path):
    folder = write_people(tmp_path / "people", 4)
    path = folder / "masks" / "run1_mask_00002.png"
    write_png(path, scene(2, size=48)[1])
    scenes = Scenes(load_dataset(folder), height=64, width=64)
    assert scenes.usable.tolist() == [True, True, False, True]
    (problem,) = scenes.problems
    assert "run1_mask_00002.png is 48×48" in problem
    assert "is 64×64; make it as large, or delete both" in problem


def test_nothing_usable_is_an_error(tmp_path):
    folder = write_people(tmp_path / "people", 2)
    dataset = load_dataset(folder)
    for path in (folder / "images").iterdir():
        path.write_bytes(b"")
    with pytest.raises(DataError, match="not one of 2 images with masks is usable"):
        Scenes(dataset, height=64, width=64)


def test_crops_are_many_of_the_hero_and_the_same_for_the_same_seed(scenes):
    batches = list(crops(scenes).epoch(1))
    images, masks = batches[0]
    assert len(batches) == 4
    assert images.shape == (8, CROP, CROP, 3)
    assert masks.shape == (8, CROP, CROP)
    shown = np.mean([(mask == 2).any() for _, part in batches for mask in part])
    assert shown > 0.4
    for (first, _), (second, _) in zip(batches, crops(scenes).epoch(1), strict=True):
        np.testing.assert_array_equal(first, second)
    assert not np.array_equal(images, next(crops(scenes).epoch(2))[0])
    assert not np.array_equal(images, next(crops(scenes, seed=1).epoch(1))[0])


def test_fixed_crops_are_the_same_in_each_epoch(scenes):
    fixed = crops(scenes, fixed=True, cutting=PLAIN)
    np.testing.assert_array_equal(next(fixed.epoch(1))[0], next(fixed.epoch(2))[0])


def test_plain_crops_are_cut_out_as_they_are(scenes):
    images, masks = next(crops(scenes, cutting=PLAIN).epoch(1))
    red = (images[..., 0] > 150) & (images[..., 2] < 100)
    np.testing.assert_array_equal(red, masks == 2)


def test_a_hero_is_pasted_with_their_mask_where_there_was_none(scenes):
    only = np.array([row for row in range(12) if (scenes.masks[row] == 2).sum() < 4])
    some = np.concatenate([only, np.flatnonzero((scenes.masks == 2).sum((1, 2)) > 120)])
    plan = replace(PLAIN, hero=0.0, others=1.0, paste=1.0)
    pasting = Crops(scenes, some, size=CROP, count=4, batch_size=8, cutting=plan)
    pasting._with_others = only
    heroes = 0
    for images, masks in pasting.epoch(1):
        heroes += int((masks == 2).any((1, 2)).sum())
        shown = images[masks == 2]
        assert (shown[:, 0] > shown[:, 2]).all()
    assert heroes > 16


def test_without_a_hero_there_is_nothing_to_cut_around(tmp_path):
    dataset = load_dataset(write_people(tmp_path / "people", 4, hero=False))
    scenes = Scenes(dataset, height=64, width=64)
    with pytest.raises(DataError, match="no mask of 4 shows more than 3 pixels of hero"):
        Crops(scenes, np.arange(4), size=CROP, count=1, cutting=Cutting())


def test_false_alarms_are_cut_around(scenes):
    plan = replace(PLAIN, hero=0.0, others=0.0, alarms=1.0)
    place = np.array([[5, 16, 16]])
    (images, _), *_ = crops(scenes, cutting=plan, alarms=place).epoch(1)
    part = scenes.images[5].astype(int)
    for crop in images:
        found = [
            np.array_equal(view, part[top : top + CROP, left : left + CROP])
            for view in (crop, crop[:, ::-1])
            for top in range(20)
            for left in range(20)
        ]
        assert any(found)
