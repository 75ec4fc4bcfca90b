import json

import numpy as np
import pytest

from autcar.errors import ConfigError, DataNotFoundError
from tests.trainer.columns import Columns, Lines, network
from trainer.learning.distillation import TEACHER_SHARE, load_teachers, taught
from trainer.learning.schedule import Schedule
from trainer.learning.training import fit, predict, seed_everything
from trainer.learning.warm_start import MODEL, SUMMARY

keras = pytest.importorskip("keras")


CLASSES = ("a", "b", "c", "d")


class Wrong(Columns):
    """Labels that say nothing of the images: every class for each of them in turn."""

    def epoch(self, epoch):
        for images, labels in super().epoch(epoch):
            yield images, (np.arange(len(labels)) % 4).astype(np.int16)


def test_the_loss_is_the_labels_and_the_teachers_in_their_shares():
    outputs = np.array([[0.7, 0.2, 0.1]], np.float32)
    answers = np.array([[0.5, 0.25, 0.25]], np.float32)
    soft = -(0.5 * np.log(0.7) + 0.25 * np.log(0.2) + 0.25 * np.log(0.1))
    found = taught(np.array([2.0], np.float32), outputs, answers).numpy()
    assert found == pytest.approx([(1 - TEACHER_SHARE) * 2 + TEACHER_SHARE * soft], rel=1e-5)


def test_what_the_teacher_knows_is_learnt_where_labels_say_nothing(tmp_path):
    seed_everything(0)
    large = network()
    fit(large, Columns(), Columns(40, seed=1), Schedule(epochs=8, learning_rate=5e-3), Lines())
    large.save(tmp_path / MODEL)
    right = {}
    for taught_by in (None, tmp_path):
        seed_everything(1)
        model = network()
        teacher = load_teachers([taught_by], model, CLASSES) if taught_by else None
        schedule = Schedule(epochs=8, learning_rate=5e-3, keep="last")
        fit(model, Wrong(), Wrong(40, seed=1), schedule, Lines(), teacher=teacher)
        scores, truth = predict(model, Columns(40, seed=1), Lines())
        right[taught_by] = (scores.argmax(1) == truth).mean()
    assert right[None] < 0.6
    assert right[tmp_path] > 0.9


def test_several_teachers_answer_with_their_mean(tmp_path):
    images = np.random.default_rng(0).integers(0, 256, (3, *network().input_shape[1:]))
    images = images.astype(np.float32)
    answers = []
    for name in ("a", "b"):
        model = network()
        (tmp_path / name).mkdir()
        model.save(tmp_path / name / MODEL)
        answers.append(model(images, training=False).numpy())
    found = load_teachers([tmp_path / "a", tmp_path / "b"], network(), CLASSES)(images).numpy()
    np.testing.assert_allclose(found, np.mean(answers, axis=0), rtol=1e-5)


def test_a_teacher_for_other_frames_classes_or_outputs_is_refused(tmp_path):
    network().save(tmp_path / MODEL)
    layers = keras.layers
    small = keras.Sequential([keras.Input((4, 4, 3)), layers.Flatten(), layers.Dense(4)])
    few = keras.Sequential([keras.Input(network().input_shape[1:]), layers.Flatten()])
    few.add(layers.Dense(3))
    frame = keras.Input(network().input_shape[1:])
    two = {name: layers.Dense(4)(layers.Flatten()(frame)) for name in ("a", "b")}
    for model, found in (
        (small, "wanted is 4 probabilities for frames of 4×4"),
        (few, "wanted is 3 probabilities"),
        (keras.Model(frame, two), "wanted is several outputs"),
    ):
        with pytest.raises(ConfigError, match=found):
            load_teachers([tmp_path], model, CLASSES)


def test_a_folder_without_a_run_is_named(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"there is no .*model\.keras; give the folder"):
        load_teachers([tmp_path], network(), CLASSES)


def test_a_teacher_of_other_classes_or_of_another_order_is_refused(tmp_path):
    network().save(tmp_path / MODEL)
    (tmp_path / SUMMARY).write_text(json.dumps({"classes": ["a", "c", "b", "d"]}))
    with pytest.raises(ConfigError, match="it tells apart a, c, b, d, wanted is a, b, c, d"):
        load_teachers([tmp_path], network(), CLASSES)
    (tmp_path / SUMMARY).write_text(json.dumps({"classes": list(CLASSES)}))
    load_teachers([tmp_path], network(), CLASSES)
