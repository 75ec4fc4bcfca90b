import re
import resource

import numpy as np
import pytest

from autcar.errors import DataError
from autcar.images import encode_jpeg, write_png
from tests.conftest import picture
from trainer.data.batches import Batches
from trainer.data.cache import ImageCache
from trainer.data.dataset import load_dataset
from trainer.data.image_store import FileStore


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


@pytest.fixture
def small_disk():
    """No file may grow beyond 100 kB: what the system says is what a full disk would say."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_is_found_before_decoding(dataset, tmp_path, small_disk):
    told = []
    with pytest.raises(DataError, match=r"need 0.0 GB in .*run \(.*train with smaller images"):
        ImageCache(
            dataset,
            height=48,
            width=64,
            budget=0,
            folder=tmp_path / "run",
            progress=lambda *args: told.append(args),
        )
    assert told == []
    assert list((tmp_path / "run").iterdir()) == []


def test_a_disk_that_fills_up_while_decoding_is_an_error(
    dataset, tmp_path, monkeypatch, small_disk
):
    # As on a file system that promises space and does not keep it.
    monkeypatch.setattr("os.posix_fallocate", lambda *_: None)
    with pytest.raises(DataError, match=r"free some space, name another disk by TMPDIR"):
        ImageCache(dataset, height=48, width=64, budget=0, folder=tmp_path)


def test_a_file_that_lost_an_image_is_an_error(tmp_path):
    store = FileStore(4, (2, 3), tmp_path)
    store.put(1, np.full((2, 3), 7, np.uint8))
    assert store.take(np.array([1, 1])).tolist() == [[[7] * 3] * 2] * 2
    store._file.truncate(20)
    with pytest.raises(DataError, match="has lost image 3"):
        store.take(np.array([1, 3]))


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


def test_a_mask_of_another_size_is_named_and_left_out(tmp_path):
    for number in range(3):
        write_png(tmp_path / "f" / "images" / f"{number}.png", picture(number, 16, 12))
        mask = np.full((12, 16 + number % 2, 3), (0, 255, 0), np.uint8)
        write_png(tmp_path / "f" / "masks" / f"{number}.png", mask)
    cache = ImageCache(load_dataset(tmp_path / "f"), height=6, width=8)
    assert cache.usable.tolist() == [True, False, True]
    assert "1.png is 17×12, its image 16×12; draw it as large" in cache.problems[0]
    assert cache.masks(np.array([0])).shape == (1, 6, 8)
