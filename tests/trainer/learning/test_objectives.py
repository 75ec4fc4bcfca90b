import numpy as np
import pytest

from autcar.errors import ConfigError, DataError
from autcar.progress import Progress
from trainer.data.heads import Heads
from trainer.learning.objectives import Classes, HeadsObjective, Pixels
from trainer.learning.schedule import Schedule
from trainer.learning.training import fit, seed_everything

keras = pytest.importorskip("keras")
H, W = 8, 12
HEADS = Heads.parse(["blue_10", "blue_20", "red_10", "red_20"], ["color", "perc"])


class Lines(Progress):
    def __init__(self):
        self.lines = []

    def say(self, text):
        self.lines.append(text)


class Fixed:
    """The same batches in each epoch."""

    def __init__(self, images, targets, batch=16):
        self.images, self.targets, self.batch = images, targets, batch

    def __len__(self):
        return -(-len(self.images) // self.batch)

    def epoch(self, epoch):
        for start in range(0, len(self.images), self.batch):
            part = slice(start, start + self.batch)
            yield self.images[part], self.targets[part]


def quarters(frames=64):
    """Frames of 4 joint classes: blue or red, bright or dark."""
    labels = (np.arange(frames) % 4).astype(np.int16)
    images = np.random.default_rng(0).integers(0, 30, (frames, H, W, 3), np.uint8)
    for image, label in zip(images, labels, strict=True):
        image[..., 0 if label >= 2 else 2] += 200 if label % 2 else 90
    return Fixed(images, labels)


def trunk():
    frames = keras.Input((H, W, 3))
    return frames, keras.layers.Flatten()(keras.layers.Rescaling(1 / 255)(frames))


def with_heads(colors=2):
    frames, values = trunk()
    dense = keras.layers.Dense
    return keras.Model(
        frames,
        {
            "color": dense(colors, activation="softmax")(values),
            "perc": dense(2, activation="softmax")(values),
        },
    )


def test_heads_learn_their_parts_and_are_logged_by_keras_names():
    seed_everything(0)
    told = Lines()
    schedule = Schedule(epochs=12, learning_rate=0.03)
    history = fit(
        with_heads(), quarters(), quarters(32), schedule, told, objective=HeadsObjective(HEADS)
    )
    names = {"loss", "accuracy", "balanced_accuracy"}
    names |= {f"{head}_{what}" for head in ("color", "perc") for what in ("loss", "accuracy")}
    figures = history.epochs[-1].figures
    assert set(figures) == names | {f"val_{name}" for name in names}
    assert figures["loss"] == pytest.approx(figures["color_loss"] + figures["perc_loss"])
    assert figures["val_color_accuracy"] == figures["val_perc_accuracy"] == 1
    assert history.epochs[-1].val_accuracy == 1
    assert "color_accuracy" in told.lines[0]


def test_a_joint_answer_is_the_likeliest_pair_of_the_heads():
    import tensorflow as tf

    outputs = {
        "color": tf.constant([[0.9, 0.1], [0.4, 0.6]]),
        "perc": tf.constant([[0.2, 0.8], [0.7, 0.3]]),
    }
    confusion = HeadsObjective(HEADS).confusion(outputs, tf.constant([1, 0])).numpy()
    assert confusion[1, 1] == 1  # blue_20, right
    assert confusion[0, 2] == 1  # blue_10, taken for red_10


def test_heads_that_are_not_there_or_of_another_size_are_refused():
    objective = HeadsObjective(HEADS)
    with pytest.raises(ConfigError, match=r"head color's output is \(3,\), there are 2 classes"):
        objective.check(with_heads(colors=3))
    frames, values = trunk()
    single = keras.Model(frames, keras.layers.Dense(4)(values))
    with pytest.raises(ConfigError, match="the heads are color, perc"):
        objective.check(single)
    with pytest.raises(ConfigError, match=r"output is \(4,\), there are 12 classes"):
        Classes(12).check(single)


def classes_model(count=4):
    frames, values = trunk()
    return keras.Model(frames, keras.layers.Dense(count, activation="softmax")(values))


def test_losses_are_what_keras_and_the_papers_say():
    import tensorflow as tf

    scores = tf.constant([[0.7, 0.2, 0.1], [0.1, 0.3, 0.6]])
    targets = tf.constant([0, 1])
    plain = Classes(3, label_smoothing=0).measures(scores, targets)["loss"].numpy()
    np.testing.assert_allclose(plain, -np.log([0.7, 0.3]), rtol=1e-5)
    focal = Classes(3, 0, focal=2.0).measures(scores, targets)["loss"].numpy()
    np.testing.assert_allclose(focal, plain * (np.array([0.3, 0.7]) ** 2), rtol=1e-4)
    heavy = Classes(3, 0, weights=(2, 0.5, 1)).measures(scores, targets)["loss"].numpy()
    np.testing.assert_allclose(heavy, plain * [2, 0.5], rtol=1e-5)
    smooth = Classes(3, 0.3).measures(scores, targets)["loss"].numpy()
    expected = -(np.log([0.7, 0.3]) * 0.7 + np.log(scores.numpy()).sum(1) * 0.1)
    np.testing.assert_allclose(smooth, expected, rtol=1e-5)


def test_class_weights_turn_what_is_rare_into_what_counts():
    """Frames that all look alike: the network answers with the class that weighs most."""
    images = np.full((40, H, W, 3), 100, np.uint8)
    labels = np.array([0] * 30 + [1] * 10, np.int16)
    source = Fixed(images, labels, batch=40)
    found = {}
    for weights in (None, (1.0, 9.0)):
        seed_everything(0)
        model = classes_model(2)
        schedule = Schedule(epochs=15, learning_rate=0.01, keep="last")
        fit(model, source, source, schedule, Lines(), objective=Classes(2, weights=weights))
        found[weights] = int(model(images[:1].astype(np.float32)).numpy().argmax())
    assert found == {None: 0, (1.0, 9.0): 1}


def test_targets_beyond_the_classes_stop_and_name_the_batch():
    source = quarters()
    source.targets = np.where(np.arange(64) == 20, 7, source.targets).astype(np.int16)
    with pytest.raises(DataError, match="batch 2: the targets reach from 0 to 7"):
        fit(classes_model(), source, quarters(), Schedule(epochs=1), Lines())


def test_pixels_are_learnt_and_scored_by_overlap():
    rng = np.random.default_rng(0)
    masks = (rng.random((32, H, W)) < 0.1).astype(np.uint8)
    images = rng.integers(0, 40, (32, H, W, 3), np.uint8)
    images[masks == 1] += 150
    source = Fixed(images, masks)
    objective = Pixels(2, H, W, weights=(1.0, 3.0), overlap=0.5)
    seed_everything(0)
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((H, W, 3)),
            layers.Rescaling(1 / 255),
            layers.Conv2D(2, 1, activation="softmax"),
        ]
    )
    schedule = Schedule(epochs=20, learning_rate=0.1)
    history = fit(model, source, source, schedule, Lines(), objective=objective)
    figures = history.epochs[-1].figures
    assert figures["val_iou"] > 0.95
    assert figures["val_loss"] < history.epochs[0].figures["val_loss"]
    with pytest.raises(ConfigError, match="there are 3 classes"):
        Pixels(3, H, W).check(model)


def test_overlap_is_lost_by_what_is_missed_and_only_where_the_last_class_is():
    import tensorflow as tf

    masks = np.zeros((1, H, W), np.uint8)
    masks[0, 2:5, 2:7] = 1
    objective = Pixels(2, H, W, overlap=1.0)

    def loss(guess):
        return float(objective.measures(tf.one_hot(guess, 2), tf.constant(masks))["loss"][0])

    half = masks.copy()
    half[0, 2:5, 4:7] = 0
    assert loss(masks) == pytest.approx(0, abs=1e-6)
    assert 0 < loss(half) < loss(np.zeros_like(masks))
    without = Pixels(2, H, W)
    empty = tf.constant(np.zeros_like(masks)), tf.one_hot(half, 2)
    with_both = objective.measures(empty[1], empty[0]), without.measures(empty[1], empty[0])
    assert float(with_both[0]["loss"][0]) == float(with_both[1]["loss"][0])
