import numpy as np
import pytest

from autcar.errors import DataError
from autcar.interpreter import Interpreter
from trainer import quantize
from trainer.networks import build_network
from trainer.quantize import latency_ms, parity, run_file, to_tflite
from trainer.training import seed_everything

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


@pytest.mark.parametrize("kind", ["int8", "float32"])
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


def test_an_unknown_kind_is_refused(model, dark):
    with pytest.raises(ValueError, match="int8, float32"):
        to_tflite(model, "int4", dark)


def test_files_answer_as_the_model_does(model, dark):
    expected = keras_scores(model, dark)
    batches = [(dark[:25], None), (dark[25:], None)]
    exact = run_file(to_tflite(model, "float32", dark), batches)
    close = run_file(to_tflite(model, "int8", dark), batches)
    np.testing.assert_allclose(exact, expected, atol=1e-5)
    np.testing.assert_allclose(close, expected, atol=0.15)
    assert latency_ms(to_tflite(model, "int8", dark), 5) > 0


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


def test_parity_fails_on_agreement_alone():
    truth = np.zeros(100, int)
    wrong = np.eye(3)[[1] * 100].astype(np.float32)
    otherwise_wrong = np.eye(3)[[1] * 97 + [2] * 3].astype(np.float32)
    assert parity(truth, wrong, otherwise_wrong).accuracy_loss == 0
    assert not parity(truth, wrong, otherwise_wrong).holds
