import re
import threading

import numpy as np
import pytest

from autcar.errors import DataError
from autcar.images import encode_jpeg
from tests.conftest import picture
from trainer.augmentation import preset
from trainer.batches import Batches, ImageCache
from trainer.dataset import load_dataset


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    """No power is cut here: forcing the whole disk each time is all that would take long."""
    monkeypatch.setattr("os.sync", lambda: None)


@pytest.fixture
def dataset(make_session):
    return load_dataset(make_session(frames=48))


def test_images_are_decoded_once_and_resized(dataset):
    cache = ImageCache(dataset, height=24, width=32)
    images = cache.images(np.array([5, 0, 5]))
    assert (images.shape, images.dtype) == ((3, 24, 32, 3), np.uint8)
    np.testing.assert_array_equal(images[0], images[2])
    bright = images[0].astype(int).mean(axis=(0, 2)).argmax()
    assert 5 * 32 / 12 - 1 <= bright <= 6 * 32 / 12 + 1
    assert cache.usable.all()
    assert cache.problems == []
    for path in dataset.paths:
        open(path, "w").close()
    assert cache.images(np.arange(48)).mean() > 50


def test_an_image_of_the_asked_size_is_left_as_it_is(dataset):
    from autcar.images import read_image

    cache = ImageCache(dataset, height=48, width=64)
    np.testing.assert_array_equal(cache.images(np.array([7]))[0], read_image(dataset.paths[7]))
    assert ImageCache(dataset, height=96, width=64).images(np.array([7])).shape == (1, 96, 64, 3)


def test_beyond_the_budget_the_images_lie_in_a_file_that_leaves_nothing(dataset, tmp_path):
    folder = tmp_path / "run"
    memory = ImageCache(dataset, height=24, width=32)
    mapped = ImageCache(dataset, height=24, width=32, folder=folder, budget=1000)
    assert memory.in_memory
    assert not mapped.in_memory
    everything = np.arange(48)
    np.testing.assert_array_equal(memory.images(everything), mapped.images(everything))
    assert type(mapped.images(everything)) is np.ndarray
    assert list(folder.iterdir()) == []


def test_a_full_disk_is_found_before_decoding(dataset, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(DataError, match=r"No space left.*train with smaller images"):
        ImageCache(dataset, height=24, width=32, budget=0)


def test_progress_is_told(make_session):
    told = []
    dataset = load_dataset(make_session(frames=150))
    ImageCache(dataset, height=8, width=8, progress=lambda *args: told.append(args))
    assert told == [(64, 150), (128, 150), (150, 150)]


def test_broken_and_odd_sized_images_are_named_and_left_out(dataset):
    def replace(row, content):
        with open(dataset.paths[row], "wb") as file:
            file.write(content)

    whole = encode_jpeg(picture(1))
    replace(3, b"")
    replace(10, whole[: len(whole) // 2])
    replace(20, b"no image at all")
    replace(0, encode_jpeg(picture(0, 32, 24)))
    cache = ImageCache(dataset, height=24, width=32)
    assert np.flatnonzero(~cache.usable).tolist() == [0, 3, 10, 20]
    found = "\n".join(cache.problems)
    assert len(cache.problems) == 4
    assert "00000003.jpg is empty (0 bytes); delete it or record it again" in found
    assert re.search("00000010.jpg is a (damaged|truncated) JPEG", found)
    assert "00000020.jpg is not a whole JPEG or PNG" in found
    assert "00000000.jpg is 32×24, the other images of its recording are 64×48" in found
    assert cache.only_usable(np.array([9, 10, 11])).tolist() == [9, 11]
    shown = [labels for _, labels in Batches(cache, dataset.labels, np.arange(48)).epoch(0)]
    assert sum(map(len, shown)) == 44


def test_recordings_may_differ_in_size(make_session):
    make_session("small", frames=12, width=32, height=24)
    dataset = load_dataset(make_session("large", frames=12).parent)
    assert ImageCache(dataset, height=12, width=16).usable.all()


def test_nothing_but_broken_images_is_an_error(dataset):
    for path in dataset.paths:
        open(path, "w").close()
    with pytest.raises(DataError, match=r"not one of 48 images is usable; first problem: .*empty"):
        ImageCache(dataset, height=24, width=32)


def collect(batches, epoch):
    images, labels = zip(*batches.epoch(epoch), strict=True)
    return np.concatenate(images), np.concatenate(labels)


def test_an_epoch_shows_each_index_as_often_as_it_is_given(dataset):
    cache = ImageCache(dataset, height=24, width=32)
    indices = np.array([*range(40), 3, 3, 3])
    batches = Batches(cache, dataset.labels, indices, batch_size=16)
    assert len(batches) == 3
    assert [len(labels) for _, labels in batches.epoch(0)] == [16, 16, 11]
    images, labels = collect(batches, 0)
    assert (images.dtype, labels.dtype) == (np.uint8, np.int16)
    np.testing.assert_array_equal(np.sort(labels), np.sort(dataset.labels[indices]))
    in_order = Batches(cache, dataset.labels, indices, batch_size=16, shuffle=False)
    np.testing.assert_array_equal(collect(in_order, 0)[1], dataset.labels[indices])
    np.testing.assert_array_equal(collect(in_order, 0)[0], cache.images(indices))


def test_the_same_seed_gives_the_same_batches(dataset):
    cache = ImageCache(dataset, height=24, width=32)

    def batches(seed, threads=2):
        return Batches(
            cache,
            dataset.labels,
            np.arange(48),
            batch_size=8,
            seed=seed,
            augment=preset("strong"),
            threads=threads,
        )

    first = collect(batches(1), 3)
    for same in (collect(batches(1), 3), collect(batches(1, threads=1), 3)):
        np.testing.assert_array_equal(first[0], same[0])
        np.testing.assert_array_equal(first[1], same[1])
    for other in (collect(batches(1), 4), collect(batches(2), 3)):
        assert not np.array_equal(first[0], other[0])


def test_augmentation_never_reaches_the_cache(dataset):
    cache = ImageCache(dataset, height=24, width=32)
    before = cache.images(np.arange(48))
    collect(Batches(cache, dataset.labels, np.arange(48), augment=preset("strong")), 0)
    np.testing.assert_array_equal(before, cache.images(np.arange(48)))


def test_an_epoch_that_is_left_early_leaves_no_thread(dataset):
    cache = ImageCache(dataset, height=24, width=32)
    before = threading.active_count()
    for _ in Batches(cache, dataset.labels, np.arange(48), batch_size=4).epoch(0):
        break
    assert threading.active_count() == before


def test_an_error_in_a_worker_reaches_the_trainer(dataset):
    cache = ImageCache(dataset, height=24, width=32)

    def broken(*_):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"):
        list(Batches(cache, dataset.labels, np.arange(48), augment=broken).epoch(0))
