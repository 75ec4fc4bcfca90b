import numpy as np
import pytest

from autcar.commands import CLASSES, MIRROR
from autcar.errors import DataError
from tests.conftest import picture
from trainer.augmentation import PRESETS, Augmentation, preset

KINDS = ("mirror", "light", "tint", "blur", "noise", "warp", "shadow", "cutout")


@pytest.fixture
def batch():
    images = np.stack([picture(index, 56, 42) for index in range(24)])
    return images, np.arange(24, dtype=np.int16) % len(CLASSES)


@pytest.mark.parametrize("name", PRESETS)
def test_shapes_and_types_stay_and_the_seed_decides(batch, name):
    images, labels = batch
    before = images.copy(), labels.copy()
    first = preset(name)(images, labels, np.random.default_rng(5))
    again = preset(name)(images, labels, np.random.default_rng(5))
    for found, same, given, kept in zip(first, again, batch, before, strict=True):
        np.testing.assert_array_equal(found, same)
        np.testing.assert_array_equal(given, kept)
        assert (found.shape, found.dtype) == (given.shape, given.dtype)
        assert not np.shares_memory(found, given)
    other, _ = preset(name)(images, labels, np.random.default_rng(6))
    assert np.array_equal(other, first[0]) == (name == "none")


def test_none_changes_nothing(batch):
    for found, given in zip(preset("none")(*batch, np.random.default_rng(0)), batch, strict=True):
        np.testing.assert_array_equal(found, given)


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_changes_its_share_of_the_images(batch, kind):
    images, labels = batch
    everything, _ = Augmentation(**{kind: 1.0})(images, labels, np.random.default_rng(0))
    assert all((a != b).any() for a, b in zip(everything, images, strict=True))
    half, found = Augmentation(**{kind: 0.5})(images, labels, np.random.default_rng(0))
    changed = sum((a != b).any() for a, b in zip(half, images, strict=True))
    assert 6 <= changed <= 18
    if kind != "mirror":
        np.testing.assert_array_equal(found, labels)


def test_the_mirrored_image_has_the_mirrored_command(batch):
    images, labels = batch
    found, mirrored = Augmentation(mirror=1.0)(images, labels, np.random.default_rng(0))
    np.testing.assert_array_equal(found, images[:, :, ::-1])
    assert mirrored.tolist() == [MIRROR[label] for label in labels]


def test_light_and_noise_saturate_and_do_not_wrap_around():
    white = np.full((8, 20, 30, 3), 255, np.uint8)
    labels = np.zeros(8, np.int16)
    noisy, _ = Augmentation(noise=1.0)(white, labels, np.random.default_rng(0))
    assert noisy.min() > 150
    lit, _ = Augmentation(light=1.0, tint=1.0)(white, labels, np.random.default_rng(0))
    assert lit.min() > 100


def test_images_larger_than_the_noise_at_hand():
    image = np.full((1, 700, 900, 3), 128, np.uint8)
    noisy, _ = Augmentation(noise=1.0)(image, np.zeros(1, np.int16), np.random.default_rng(0))
    assert noisy.std() > 1


def test_an_unknown_preset_names_those_there_are():
    with pytest.raises(DataError, match="'heavy' is not known; use one of none, default, strong"):
        preset("heavy")
