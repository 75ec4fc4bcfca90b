import numpy as np
import pytest

from autcar.commands import LABELS
from autcar.errors import ConfigError
from trainer.data.heads import Heads
from trainer.networks import (
    NETWORKS,
    PIXEL_NETWORKS,
    adapt,
    build_heads,
    build_network,
    build_pixel_network,
    joined,
    spread,
)
from trainer.proof.cost import macs

keras = pytest.importorskip("keras")
H, W = 48, 64


def answers(model, count=3, height=H, width=W):
    frames = np.random.default_rng(0).integers(0, 256, (count, height, width, 3))
    return model(frames.astype(np.float32), training=False).numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_built_in_networks_turn_raw_frames_into_probabilities(name):
    model = build_network(name, 168, 224, 12)
    scores = answers(model, 2, 168, 224)
    assert scores.shape == (2, 12)
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-4)


def test_autcar_is_the_documented_network_and_compact_is_about_as_large():
    assert build_network("autcar", 168, 224, 12).count_params() == 109_360
    assert build_network("compact", 168, 224, 12).count_params() < 115_000


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ConfigError, match="did you mean --network compact"):
        build_network("compct", H, W, 12)


def test_module_and_function_name_ones_own_network(tmp_path, monkeypatch):
    (tmp_path / "my_network.py").write_text(
        "import keras\n"
        "def build(height, width, classes):\n"
        "    return keras.Sequential([keras.Input((height, width, 3)),\n"
        "        keras.layers.Flatten(), keras.layers.Dense(classes, activation='softmax')])\n"
    )
    monkeypatch.chdir(tmp_path)
    assert answers(build_network("my_network:build", H, W, 12)).shape == (3, 12)
    with pytest.raises(ConfigError, match=r"def make\(height, width, classes\)"):
        build_network("my_network:make", H, W, 12)
    with pytest.raises(ConfigError, match="no_such_module"):
        build_network("no_such_module:build", H, W, 12)


def sequential(shape, *layers, units=12, activation="softmax"):
    dense = keras.layers.Dense(units, activation=activation)
    return keras.Sequential([keras.Input(shape), *layers, keras.layers.Flatten(), dense])


def test_a_channels_first_model_gets_its_frames_transposed_and_scaled():
    model = sequential((3, H, W))
    frames = np.random.default_rng(1).integers(0, 256, (2, H, W, 3)).astype(np.float32)
    expected = model(frames.transpose(0, 3, 1, 2) / 255).numpy()
    np.testing.assert_allclose(adapt(model, H, W, 12)(frames).numpy(), expected, rtol=1e-4)


def test_a_model_that_normalises_is_not_normalised_again():
    model = sequential((H, W, 3), keras.layers.Rescaling(1 / 127.5, -1))
    frames = np.full((1, H, W, 3), 200, np.float32)
    np.testing.assert_allclose(adapt(model, H, W, 12)(frames), model(frames), rtol=1e-5)


def test_a_model_without_softmax_gets_one():
    scores = answers(adapt(sequential((H, W, 3), activation=None), H, W, 12))
    np.testing.assert_allclose(scores.sum(1), 1, rtol=1e-4)


@pytest.mark.parametrize("shape", [(W, H, 3), (H, W), (H, W, 1), (3, W, H), (None, None, 3)])
def test_any_other_input_is_refused_with_the_shape_to_state(shape):
    layers = [] if None not in shape else [keras.layers.GlobalAveragePooling2D()]
    with pytest.raises(ConfigError, match=rf"keras\.Input\(\({H}, {W}, 3\)\)"):
        adapt(sequential(shape, *layers), H, W, 12)


def test_an_output_that_does_not_fit_the_labels_is_refused():
    with pytest.raises(ConfigError, match=r"output is \(7,\), there are 12 classes"):
        adapt(sequential((H, W, 3), units=7), H, W, 12)


def test_what_is_no_keras_model_is_refused():
    with pytest.raises(ConfigError, match="is a str"):
        adapt("model", H, W, 12)


def test_spread_puts_a_few_classes_where_the_car_expects_them():
    classes = ("stop", "move_medium_forward", "left_light_forward")
    model = sequential((H, W, 3), keras.layers.Rescaling(1 / 255), units=3)
    few, all_of_them = answers(model), answers(spread(model, classes, LABELS))
    assert all_of_them.shape == (3, 12)
    for column, label in enumerate(classes):
        np.testing.assert_allclose(all_of_them[:, LABELS.index(label)], few[:, column], rtol=1e-5)
    assert np.count_nonzero(all_of_them[0]) == 3


def test_multiplications_are_counted_by_layer():
    layers = keras.layers
    model = keras.Sequential(
        [
            keras.Input((8, 10, 3)),
            layers.Conv2D(4, 3, 2, padding="same"),  # 4×5 places × 3×3×3×4
            layers.DepthwiseConv2D(3, padding="same"),  # 4×5 × 3×3×4
            layers.Conv2DTranspose(2, 2, 2),  # 4×5 × 2×2×2×4
            layers.Flatten(),
            layers.Dense(5),  # 8×10×2 × 5
        ]
    )
    assert macs(model) == 20 * 108 + 20 * 36 + 20 * 32 + 160 * 5


def test_star_is_what_the_tutorials_say():
    model = build_network("star", H, W, 12)
    convolutions = [layer for layer in model.layers if type(layer).__name__ == "Conv2D"]
    assert [layer.filters for layer in convolutions] == [32, 32, 16]
    dense = [layer for layer in model.layers if type(layer).__name__ == "Dense"]
    assert [layer.units for layer in dense] == [128, 12]
    assert len(model.losses) == 4  # L2 of each kernel but the last
    for layer in (*convolutions, dense[0]):
        assert float(layer.kernel_regularizer.l2) == pytest.approx(1e-4)
        assert type(layer.kernel_initializer).__name__ == "HeNormal"


def test_any_network_gets_heads_and_their_answers_are_joined():
    heads = Heads.of_drive()
    for name in ("compact", "factored"):
        model = build_heads(name, H, W, heads)
        parts = answers_by_head(model)
        assert {head: part.shape[1] for head, part in parts.items()} == {
            "turn": 3,
            "strength": 4,
            "direction": 3,
        }
        product = np.prod(
            [parts[head.name][:, heads.table[:, i]] for i, head in enumerate(heads.heads)], axis=0
        )
        expected = product / product.sum(1, keepdims=True)
        np.testing.assert_allclose(answers(joined(model, heads)), expected, rtol=1e-4)


def answers_by_head(model):
    frames = np.random.default_rng(0).integers(0, 256, (3, H, W, 3))
    outputs = model(frames.astype(np.float32), training=False)
    return {name: values.numpy() for name, values in outputs.items()}


def test_a_saved_model_is_a_network_too(tmp_path):
    model = sequential((H, W, 3), keras.layers.Rescaling(1 / 255))
    model.save(tmp_path / "mine.keras")
    again = build_network(str(tmp_path / "mine.keras"), H, W, 12)
    np.testing.assert_allclose(answers(again), answers(model), rtol=1e-5)
    with pytest.raises(ConfigError, match=r"model.save\('none.keras'\)"):
        build_network(str(tmp_path / "none.keras"), H, W, 12)


@pytest.mark.parametrize("name", PIXEL_NETWORKS)
def test_pixel_networks_answer_for_each_pixel_of_any_size_with_the_same_weights(name):
    small, large = (build_pixel_network(name, *size, 3) for size in ((32, 48), (64, 64)))
    large.set_weights(small.get_weights())
    scores = answers(large, 2, 64, 64)
    assert scores.shape == (2, 64, 64, 3)
    np.testing.assert_allclose(scores.sum(-1), 1, rtol=1e-4)


def test_a_pixel_network_says_which_sizes_it_takes():
    with pytest.raises(ConfigError, match="multiples of 16, not 224×170; say --size 224x176"):
        build_pixel_network("follow", 170, 224, 3)
    with pytest.raises(ConfigError, match="did you mean --network fcn"):
        build_pixel_network("fcnn", 64, 64, 3)
    with pytest.raises(ConfigError, match="made in two"):
        build_pixel_network("mine.keras", 64, 64, 3)
