import sys

import numpy as np
import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.errors import BundleError, RuntimeMissingError
from autcar.interpreter import Interpreter, find_runtime


@pytest.fixture(scope="module")
def bundle():
    return load_bundle(shipped_bundle())


@pytest.mark.parametrize("variant", ["int8", "float32"])
def test_frames_in_probabilities_out(bundle, variant):
    interpreter = Interpreter(bundle.path(bundle.variant(variant)))
    assert interpreter.shape == (1, bundle.manifest.height, bundle.manifest.width, 3)
    image = np.random.default_rng(0).integers(0, 256, interpreter.shape[1:], np.uint8)
    scores = interpreter.run(image)
    assert scores.shape == (12,)
    assert scores.dtype == np.float32
    assert scores.sum() == pytest.approx(1, abs=0.05)
    assert (interpreter.run(image) == scores).all()


def test_int8_takes_raw_frames(bundle):
    interpreter = Interpreter(bundle.path(bundle.variant("int8")))
    assert interpreter.input_quantization == (1.0, 0)


def test_an_image_of_another_size(bundle):
    interpreter = Interpreter(bundle.path(bundle.variant("int8")))
    with pytest.raises(ValueError, match="[Dd]imension|shape"):
        interpreter.run(np.zeros((10, 10, 3), np.uint8))


def test_outputs_by_name(bundle):
    interpreter = Interpreter(bundle.path(bundle.variant("int8")))
    image = np.random.default_rng(0).integers(0, 256, interpreter.shape[1:], np.uint8)
    (scores,) = interpreter.run_heads(image).values()
    assert (scores == interpreter.run(image)).all()


def test_a_file_that_is_no_model():
    with pytest.raises(BundleError, match="does not load in"):
        Interpreter(b"this is no model")


def test_a_model_with_two_inputs(monkeypatch):
    class Runtime:
        def __init__(self, **_):
            pass

        def allocate_tensors(self):
            pass

        def get_input_details(self):
            return [{"index": 0}, {"index": 1}]

    monkeypatch.setattr("autcar.interpreter.find_runtime", lambda: ("LiteRT", Runtime))
    with pytest.raises(BundleError, match="model takes 2 inputs, the car feeds one frame"):
        Interpreter(b"model")


def test_without_any_runtime(monkeypatch):
    for module in ("ai_edge_litert.interpreter", "tflite_runtime.interpreter", "tensorflow.lite"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(RuntimeMissingError, match="pip install ai-edge-litert"):
        find_runtime()
