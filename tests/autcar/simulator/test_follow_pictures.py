"""Pictures of people with masks: what is written, and that it can be trained on."""

import numpy as np
import pytest

from autcar.cli import main
from autcar.errors import DataError
from autcar.images import read_image
from autcar.simulator.follow_pictures import COLOURS, VIEWS, make_follow_pictures
from autcar.simulator.people_world import LABELS, THE_HERO


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("follow") / "people"
    assert make_follow_pictures(folder, 60, seed=4, size=(64, 48)) == 60
    return folder


def masks_of(folder, part):
    return [read_image(path) for path in sorted((folder / part / "masks").iterdir())]


def test_three_parts_of_images_and_masks(folder):
    for part, count in (("training", 48), ("validation", 6), ("test", 6)):
        images = sorted((folder / part / "images").iterdir())
        assert len(images) == len(masks_of(folder, part)) == count
        assert read_image(images[0]).shape == (48, 64, 3)
    colours = {tuple(c) for mask in masks_of(folder, "training") for c in np.unique(
        mask.reshape(-1, 3), axis=0).tolist()}  # fmt: skip
    assert colours == {tuple(c) for c in COLOURS.tolist()}


def test_the_hero_is_near_and_far_and_away(folder):
    shares = [
        (mask == COLOURS[THE_HERO]).all(axis=2).mean() for mask in masks_of(folder, "training")
    ]
    assert 0.4 < np.mean(np.array(shares) > 0) < 0.9
    assert min(share for share in shares if share) < 0.01
    assert max(shares) > 0.05


def test_the_trainer_reads_them(folder):
    dataset = pytest.importorskip("trainer.data.dataset")
    found = dataset.load_dataset([folder])
    assert len(found) == 60
    assert found.classes == LABELS
    assert not found.problems


def test_the_same_seed_is_the_same_pictures(folder, tmp_path):
    make_follow_pictures(tmp_path / "again", VIEWS, seed=4, size=(64, 48))
    first = sorted((folder / "training" / "images").iterdir())[0]
    again = tmp_path / "again" / "training" / "images" / first.name
    assert first.read_bytes() == again.read_bytes()


def test_what_is_there_is_kept(folder, tmp_path):
    with pytest.raises(DataError, match="is there; name a new folder"):
        make_follow_pictures(folder, 60)
    with pytest.raises(DataError, match="ask for 10 or more"):
        make_follow_pictures(tmp_path / "few", 4)
    assert not list(tmp_path.iterdir())


def test_the_verb(tmp_path, capsys):
    target = str(tmp_path / "people")
    assert main(["data", "make-follow", target, "--pairs", "20", "--size", "48x32"]) == 0
    assert f"next: autcar train {target}" in capsys.readouterr().out
    assert main(["data", "make-follow", str(tmp_path / "odd"), "--size", "48"]) == 2
    assert "expected such as 128x96" in capsys.readouterr().err
