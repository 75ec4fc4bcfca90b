import numpy as np
import pytest

from autcar.commands import CLASSES, LABELS, MIRROR
from autcar.errors import DataError
from tests.conftest import picture
from trainer.data.augmentation import KINDS, PRESETS, Augmentation, parse_augmentation


@pytest.fixture
def batch():
    images = np.stack([picture(index, 56, 42) for index in range(24)])
    return images, np.arange(24, dtype=np.int16) % len(CLASSES)


def augmented(augmentation, batch, seed=0):
    images, labels = (array.copy() for array in batch)
    plan = augmentation.draw(len(images), np.random.default_rng(seed))
    augmentation.apply(images, labels, plan)
    return images, labels


@pytest.mark.parametrize("name", PRESETS)
def test_shapes_and_types_stay_and_the_seed_decides(batch, name):
    first = augmented(PRESETS[name], batch, 5)
    again = augmented(PRESETS[name], batch, 5)
    for found, same, given in zip(first, again, batch, strict=True):
        np.testing.assert_array_equal(found, same)
        assert (found.shape, found.dtype) == (given.shape, given.dtype)
    other, _ = augmented(PRESETS[name], batch, 6)
    assert np.array_equal(other, first[0]) == (name == "none")
    assert np.array_equal(batch[0], first[0]) == (name == "none")


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_its_share_of_the_images(batch, kind):
    images, labels = batch
    everything, _ = augmented(Augmentation(**{kind: 1.0}, shift_x=0.9, shift_y=0.9), batch)
    assert all((a != b).any() for a, b in zip(everything, images, strict=True))
    half, found = augmented(Augmentation(**{kind: 0.5}, shift_x=0.9, shift_y=0.9), batch)
    changed = sum((a != b).any() for a, b in zip(half, images, strict=True))
    assert 6 <= changed <= 18
    if kind != "mirror":
        np.testing.assert_array_equal(found, labels)


def test_what_is_done_to_an_image_does_not_depend_on_the_others(batch):
    default = PRESETS["default"]
    plan = default.draw(24, np.random.default_rng(0))
    images, labels = (array.copy() for array in batch)
    default.apply(images, labels, plan)
    some = batch[0][5:9].copy()
    default.apply(some, batch[1][5:9].copy(), plan[5:9])
    np.testing.assert_array_equal(some, images[5:9])


def test_the_mirrored_image_has_the_mirrored_command(batch):
    found, mirrored = augmented(Augmentation(mirror=1.0), batch)
    np.testing.assert_array_equal(found, batch[0][:, :, ::-1])
    assert mirrored.tolist() == [MIRROR[label] for label in batch[1]]


def test_a_shift_moves_by_whole_pixels_and_goes_on_at_the_edge():
    image = np.zeros((1, 40, 60, 3), np.uint8)
    image[:, 20, 30] = 255
    image[:, :, 59] = 99
    for seed in range(8):
        found, _ = augmented(
            Augmentation(shift=1, shift_x=0.2, shift_y=0.2), (image, np.zeros(1, np.int16)), seed
        )
        (there,) = np.argwhere(found[0, :, :, 0] == 255)
        assert abs(there - (20, 30)).max() <= 12
        assert (found == 99).any() == (there[1] <= 30)


def test_a_rotation_of_180_degrees_turns_upside_down():
    image = np.zeros((40, 41, 41, 3), np.uint8)
    image[:, :12, 20] = 255
    found, _ = augmented(Augmentation(rotation=1, degrees=180), (image, np.zeros(40, np.int16)))
    below = sum(frame[30:].max() > 128 for frame in found)
    assert 4 < below < 25


def test_light_and_noise_saturate_and_do_not_wrap_around():
    white = np.full((8, 20, 30, 3), 255, np.uint8), np.zeros(8, np.int16)
    assert augmented(Augmentation(noise=1), white)[0].min() > 150
    assert augmented(Augmentation(brightness=1, tint=1), white)[0].min() > 100
    black = np.zeros((8, 20, 30, 3), np.uint8), np.zeros(8, np.int16)
    assert augmented(Augmentation(noise=1), black)[0].max() < 100


def test_images_larger_than_the_noise_at_hand():
    image = np.full((1, 700, 900, 3), 128, np.uint8), np.zeros(1, np.int16)
    assert augmented(Augmentation(noise=1), image)[0].std() > 1


def test_words_name_a_preset_and_change_what_is_in_it():
    found = parse_augmentation("default,rotation=0.7,mirror=0,degrees=5")
    assert (found.rotation, found.mirror, found.degrees) == (0.7, 0.0, 5.0)
    assert found.noise == PRESETS["default"].noise
    assert parse_augmentation("rotation=1,degrees=180") == Augmentation(rotation=1, degrees=180)
    assert parse_augmentation("tutorial").rotation == 0.7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("heavy", "'heavy' is not known; use one of none, light, default, tutorial, star"),
        ("default,rotate=1", "no 'rotate'; use mirror, rotation, .*or degrees, shift_x"),
        ("default,mirror=2", "'mirror=2': mirror is a number from 0 to 1, as in mirror=0.2"),
        ("default,degrees=-5", "degrees is a number from 0 up"),
        ("default,noise", "'noise': noise is a number"),
        ("default,noise=much", "'noise=much'"),
        ("default,noise=nan", "'noise=nan'"),
    ],
)
def test_words_that_make_no_sense_are_named(text, message):
    with pytest.raises(DataError, match=message):
        parse_augmentation(text)


def test_only_commands_and_masks_are_mirrored_unless_it_is_asked_for():
    assert parse_augmentation("default", LABELS).mirrored == MIRROR
    stars = [str(number) for number in range(20)]
    assert parse_augmentation("default", stars).mirror == 0
    asked = parse_augmentation("default,mirror=0.3", stars)
    assert (asked.mirror, asked.mirrored) == (0.3, tuple(range(20)))
    pixels = ("background", "people", "hero")
    assert parse_augmentation("follow", pixels, masked=True).mirror == 0.5


def test_some_of_the_commands_in_another_order_are_mirrored_as_they_stand():
    few = ("stop", "right_light_forward", "left_light_forward")
    assert parse_augmentation("default", few).mirrored == (0, 2, 1)
    with pytest.raises(DataError, match=r"left_light_forward is none of .*mirror=0"):
        parse_augmentation("default", few[:2])
    assert parse_augmentation("default,mirror=0", few[:2]).mirror == 0
