import json

import numpy as np
import pytest

from autcar.bundle import write_bundle
from autcar.errors import BundleError, DataNotFoundError
from trainer.learning.warm_start import MODEL, begin_with

keras = pytest.importorskip("keras")


def network(classes=4, filters=6):
    layers = keras.layers
    return keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            layers.Conv2D(filters, 3),
            layers.Flatten(),
            layers.Dense(classes, activation="softmax"),
        ]
    )


def bundle_of(folder, run):
    write_bundle(
        folder,
        models={"int8": (b"model", "int8")},
        card="card",
        labels=("a", "b"),
        width=8,
        height=8,
        metrics={},
        data={"run": str(run)},
        versions={},
    )
    return folder


def test_weights_come_from_a_run_or_from_the_run_of_a_bundle(tmp_path):
    run = tmp_path / "run"
    run.mkdir()
    first = network()
    first.save(run / MODEL)
    for folder in (run, bundle_of(tmp_path / "bundle", run)):
        model = network()
        assert begin_with(model, folder) == f"begins with {run / MODEL}"
        for mine, theirs in zip(model.get_weights(), first.get_weights(), strict=True):
            np.testing.assert_array_equal(mine, theirs)


def test_other_classes_keep_all_but_the_last_layer_and_another_network_is_refused(tmp_path):
    first = network()
    first.save(tmp_path / MODEL)
    model = network(classes=7)
    assert "the last 2 weights begin anew" in begin_with(model, tmp_path)
    np.testing.assert_array_equal(model.get_weights()[0], first.get_weights()[0])
    with pytest.raises(BundleError, match="another network"):
        begin_with(network(filters=5), tmp_path)


def test_where_there_is_no_run_it_says_what_to_give(tmp_path):
    with pytest.raises(DataNotFoundError, match="give the folder of a run"):
        begin_with(network(), tmp_path)
    bundle = bundle_of(tmp_path / "bundle", tmp_path / "gone")
    with pytest.raises(DataNotFoundError, match="cannot be trained further"):
        begin_with(network(), bundle)
    assert json.loads((bundle / "manifest.json").read_text())["data"]["run"].endswith("gone")
