import numpy as np
import pytest

from autcar.errors import ConfigError, DataError
from autcar.interpreter import Interpreter
from trainer.data.heads import Heads
from trainer.learning.training import seed_everything
from trainer.networks import build_network
from trainer.proof import quantize
from trainer.proof.layer_noise import layer_noise
from trainer.proof.quantize import KINDS, check_kinds, latency_ms, parity, run_file, to_tflite

keras = pytest.importorskip("keras")
H, W = 48, 64


@pytest.fixture(scope="module")
def model():
    seed_everything(1)
    model = build_network("compact", H, W, 12)
    # Untrained answers are all alike; louder weights at the end tell frames apart.
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([kernel * 40, bias])
    return model


@pytest.fixture(scope="module")
def dark():
    return np.random.default_rng(0).integers(0, 100, (40, H, W, 3), np.uint8)


def keras_scores(model, images):
    return model(images.astype(np.float32), training=False).numpy()


@pytest.mark.parametrize("kind", KINDS)
def test_files_take_raw_frames_one_at_a_time(model, dark, kind):
    interpreter = Interpreter(to_tflite(model, kind, dark))
    assert interpreter.shape == (1, H, W, 3)
    assert interpreter.output_shapes == [(1, 12)]
    assert interpreter.run(dark[0]).sum() == pytest.approx(1, abs=0.05)


def test_int8_reads_pixels_as_they_are_even_if_all_examples_are_dark(model, dark):
    content = to_tflite(model, "int8", dark)
    assert Interpreter(content).input_quantization == (1.0, 0)
    assert len(content) < 150_000


def test_an_input_scale_other_than_one_is_refused(model, dark, monkeypatch):
    monkeypatch.setattr(
        quantize, "_calibration", lambda images: ([x[None].astype(np.float32)] for x in images)
    )
    with pytest.raises(DataError, match=r"not \(1\.0, 0\)"):
        to_tflite(model, "int8", dark)


def test_kinds_that_cannot_be_made_are_refused(model, dark):
    with pytest.raises(ConfigError, match="'int4' is none of int8, float32.* did you mean int8"):
        to_tflite(model, "int4", dark)
    for kinds in ([], ["int8", "int8"]):
        with pytest.raises(ConfigError, match=r"each once; .*--variants int8,float32"):
            check_kinds(kinds)


@pytest.mark.parametrize(
    ("kind", "off", "share"),
    [("float32", 1e-5, 1), ("float16", 0.02, 0.55), ("dynamic", 0.15, 0.35), ("int8", 0.15, 0.35)],
)
def test_files_answer_as_the_model_does_and_are_smaller(model, dark, kind, off, share):
    content = to_tflite(model, kind, dark)
    found = run_file(content, [(dark[:25], None), (dark[25:], None)])
    np.testing.assert_allclose(found, keras_scores(model, dark), atol=off)
    assert len(content) < share * len(to_tflite(model, "float32", dark)) + 1
    assert latency_ms(content, 5) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_each_head_keeps_its_name_and_its_answers(dark, kind):
    seed_everything(2)
    frame = keras.Input((H, W, 3))
    values = keras.layers.Flatten()(keras.layers.Conv2D(4, 5, 4)(frame / 255.0))
    sizes = {"turn": 3, "strength": 2, "direction": 2}
    heads = [keras.layers.Dense(n, "softmax", name=name)(values) for name, n in sizes.items()]
    model = keras.Model(frame, heads)
    found = Interpreter(to_tflite(model, kind, dark)).run_heads(dark[0])
    expected = dict(zip(sizes, keras_scores_of(model, dark[:1]), strict=True))
    assert {name: len(scores) for name, scores in found.items()} == sizes
    for name, scores in found.items():
        np.testing.assert_allclose(scores, expected[name][0], atol=0.03)


def keras_scores_of(model, images):
    return [out.numpy() for out in model(images.astype(np.float32), training=False)]


def test_the_layer_that_is_made_coarse_is_the_one_named(model, dark):
    """A layer whose values span a huge range because of one outlier is the one that hurts."""
    outlier = keras.models.clone_model(model)
    outlier.set_weights(model.get_weights())
    layers = [layer for layer in outlier.layers if hasattr(layer, "kernel")]
    kernel, bias = layers[-2].get_weights()
    bias[0] = 300.0
    layers[-2].set_weights([kernel, bias])
    last, last_bias = layers[-1].get_weights()
    last[0] = 0.0
    layers[-1].set_weights([last, last_bias])
    exact, rounded = (to_tflite(outlier, kind, dark) for kind in ("float32", "int8"))
    rows = layer_noise(outlier, exact, rounded, dark)
    assert rows[0].adds == max(row.adds for row in rows)
    assert {layers[-1].name, layers[-2].name} & {rows[0].layer, rows[1].layer}
    sound = layer_noise(
        model, to_tflite(model, "float32", dark), to_tflite(model, "int8", dark), dark
    )
    assert rows[0].noise > 5 * sound[0].noise


def test_parity_counts_agreement_accuracy_and_recall_by_class():
    truth = np.array([0, 0, 0, 1])
    keras_answers = np.eye(2)[[0, 0, 1, 1]].astype(np.float32)
    file_answers = np.eye(2)[[0, 1, 1, 1]].astype(np.float32)
    found = parity(truth, keras_answers, file_answers)
    assert found.frames == 4
    assert found.agreement == 0.75
    assert found.keras_accuracy == 0.75
    assert found.accuracy == 0.5
    assert found.accuracy_loss == 0.25
    assert found.recall_by_class == {
        0: (pytest.approx(2 / 3), pytest.approx(1 / 3)),
        1: (1.0, 1.0),
    }
    assert not found.holds
    assert parity(truth, keras_answers, keras_answers).holds


def test_parity_of_each_part_of_a_tuple():
    heads = Heads.parse(("blue_1", "blue_2", "red_1", "red_2"), ("color", "number"))
    keras_answers, file_answers = np.eye(4)[[0, 1, 2, 3]], np.eye(4)[[0, 1, 3, 0]]
    found = parity(np.arange(4), keras_answers, file_answers, heads)
    assert found.agreement == 0.5
    assert found.agreement_by_head == {"color": 0.75, "number": 0.5}


def test_parity_fails_on_agreement_alone():
    truth = np.zeros(100, int)
    wrong = np.eye(3)[[1] * 100].astype(np.float32)
    otherwise_wrong = np.eye(3)[[1] * 97 + [2] * 3].astype(np.float32)
    assert parity(truth, wrong, otherwise_wrong).accuracy_loss == 0
    assert not parity(truth, wrong, otherwise_wrong).holds
