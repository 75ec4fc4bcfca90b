import gzip
import hashlib
import shutil

import numpy as np
import pytest

from autcar.images import write_png
from trainer.data.dataset import load_dataset
from trainer.data.sample_list import FILE, count_learned, write_sample_list
from trainer.data.split import make_split


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)


def read(path):
    lines = gzip.decompress(path.read_bytes()).decode().splitlines(keepends=True)
    groups = [line for line in lines if line.startswith("# group")]
    return groups, [line.split("\t", 2) for line in lines[len(groups) :]]


def test_the_list_says_what_was_used_and_hashes_to_the_digest(make_session, tmp_path):
    dataset = load_dataset(make_session(frames=1200))
    split = make_split(dataset)
    path = write_sample_list(tmp_path, dataset, split)
    assert [child.name for child in tmp_path.iterdir() if child.is_file()] == [FILE]
    (group,), samples = read(path)
    assert group == f"# group 0\tsession\tby 2000-01-01\tin {dataset.group_roots[0]}\n"
    hashed = hashlib.sha256("".join(line for _, _, line in samples).encode()).hexdigest()
    assert hashed == dataset.digest()
    parts = np.array([part for part, _, _ in samples])
    assert np.flatnonzero(parts == "test").tolist() == split.test.tolist()
    assert np.flatnonzero(parts == "validation").tolist() == split.validation.tolist()
    assert (parts == "-").sum() == 1200 - sum(
        map(len, (split.train, split.validation, split.test))
    )
    assert samples[5][2].startswith("images/00000005.jpg\tmove_medium_backwards\t")
    assert path.stat().st_size < 20 * 1200


def test_masks_are_listed_and_hashed(tmp_path):
    for number in range(30):
        for kind in ("images", "masks"):
            mask = np.full((4, 6, 3), (255, 0, 0), np.uint8)
            write_png(tmp_path / "f" / kind / f"{number}.png", mask)
    dataset = load_dataset(tmp_path / "f")
    path = write_sample_list(tmp_path, dataset, make_split(dataset, gap_s=0))
    _, samples = read(path)
    assert samples[0][2].split("\t")[3] == "0.png"
    hashed = hashlib.sha256("".join(line for _, _, line in samples).encode()).hexdigest()
    assert hashed == dataset.digest()


def test_samples_are_known_again_elsewhere_under_another_label_and_among_others(
    make_session, tmp_path
):
    folder = make_session("mine", frames=600)
    before = load_dataset(folder)
    split = make_split(before)
    write_sample_list(tmp_path, before, split)
    make_session("another", frames=60, first=600)
    moved = shutil.move(folder.parent, tmp_path / "moved")
    after = load_dataset(moved)
    assert after.group_names == ("another", "mine")
    after.labels[:] = 0
    assert count_learned(tmp_path, after) == len(split.train)
    assert count_learned(tmp_path, after.subset(60 + split.test)) == 0
    assert count_learned(tmp_path / "none", after) == 0
