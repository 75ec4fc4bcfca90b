"""The shipped bundle that follows: its card's claims, looked at again in short."""

import runpy
import shutil
from dataclasses import replace

import numpy as np
import pytest

from autcar.appliance.model_store import check_runs
from autcar.appliance.release import objections
from autcar.bundle import load_bundle, shipped_bundle
from autcar.cameras.base import Frame
from autcar.config import Config, FollowSection
from autcar.images import read_image
from autcar.simulator.follow_pictures import COLOURS, make_follow_pictures
from edge.follow_closed_loop import IN_VIEW, NEAREST_M, REST_MS, walk
from edge.follow_pilot import BundleEyes
from tests.conftest import REPOSITORY


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(shipped_bundle("follow"))


def test_the_card_claims_what_is_promised(bundle):
    claimed = bundle.manifest.metrics["follow"]
    assert bundle.manifest.task == "follow"
    assert len(claimed["walks"]) >= 5
    assert all(one["seconds"] >= 59.9 for one in claimed["walks"])
    assert claimed["in_view"] >= IN_VIEW
    assert claimed["nearest_m"] >= NEAREST_M
    assert claimed["rest_ms"] <= REST_MS
    assert max(bundle.manifest.metrics["iou_loss"].values()) <= 0.01
    card = (bundle.folder / "card.md").read_text()
    for one in claimed["walks"]:
        assert f"| {one['seed']} | 60 | {one['hero_m']:.1f} | {one['in_view']:.1%}" in card


def test_the_script_writes_walks_into_card_and_manifest(bundle, tmp_path, monkeypatch):
    script = runpy.run_path(str(REPOSITORY / "examples/follow_me/train_simulated.py"))
    prove = script["prove"]
    short = {"WALKS": (202,), "HIDES": (301,), "HARD": (), "SECONDS": 1.0, "HIDE_SECONDS": 20.0}
    prove.__globals__.update(short)
    copy = shutil.copytree(bundle.folder, tmp_path / "follow")
    assert prove(load_bundle(copy))
    again = load_bundle(copy)
    assert again.manifest.variants == bundle.manifest.variants
    (only,) = again.manifest.metrics["follow"]["walks"]
    assert only["seed"] == 202
    card = (copy / "card.md").read_text()
    assert card.count("## Walks") == 1
    assert "| 202 | 1 |" in card


@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_a_walk_as_the_card_tells_it(bundle, variant):
    found = walk(bundle, 202, 12.0, variant=variant)
    assert found.well
    assert found.in_view >= IN_VIEW
    assert found.bumps == 0
    assert found.car_m > 0.5


def test_a_hidden_hero_stops_the_car(bundle):
    found = walk(bundle, 301, 22.0, hide=True)
    assert len(found.rest_ms) >= 1
    assert max(found.rest_ms) <= REST_MS
    assert found.stopped is None, "a lost hero is no fault"


def test_the_distance_is_the_one_that_is_set(bundle):
    near = walk(bundle, 204, 15.0, settings=FollowSection(size=0.75, near=0.9))
    far = walk(bundle, 204, 15.0, settings=FollowSection(size=0.4, near=0.5))
    assert near.nearest_m < far.nearest_m - 0.3


def test_finds_the_hero_in_pictures_that_it_never_saw(bundle, tmp_path):
    size = (bundle.manifest.width, bundle.manifest.height)
    make_follow_pictures(tmp_path / "new", 20, seed=77, size=size)
    eyes = BundleEyes(bundle, "int8")
    shared = either = 0
    for path in sorted((tmp_path / "new" / "training" / "images").iterdir()):
        found = eyes(Frame(read_image(path), 0, 0)).argmax(axis=2) == eyes.labels.index("hero")
        mask = read_image(tmp_path / "new" / "training" / "masks" / f"{path.stem}.png")
        truth = (mask == COLOURS[2]).all(axis=2)
        shared += np.count_nonzero(found & truth)
        either += np.count_nonzero(found | truth)
    assert shared / either > 0.85


def test_a_car_takes_it_and_the_release_check_lets_it_pass(bundle, tmp_path):
    config = Config()
    camera = replace(config.camera, width=bundle.manifest.width, height=bundle.manifest.height)
    assert set(check_runs(bundle, replace(config, camera=camera))) == {"int8", "float32"}
    assert objections(bundle) == []
    copy = shutil.copytree(bundle.folder, tmp_path / "blind")
    # Its labels in another order: what it takes for the hero is the background.
    text = (copy / "manifest.json").read_text()
    labels = '"background",\n    "people",\n    "hero"'
    assert labels in text
    (copy / "manifest.json").write_text(
        text.replace(labels, '"hero",\n    "people",\n    "background"')
    )
    (objection,) = objections(load_bundle(copy))
    assert objection.check == "simulator"
