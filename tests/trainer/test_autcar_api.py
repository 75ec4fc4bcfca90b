from pathlib import Path

import numpy as np
import pytest

from autcar import Trainer
from autcar.bundle import load_bundle
from autcar.commands import LABELS, Command
from autcar.errors import CommandError, ConfigError, DataError, DataNotFoundError
from autcar.images import read_image
from autcar.interpreter import Interpreter

pytest.importorskip("keras")


@pytest.fixture
def documented_model():
    """The model of AutCar's documentation, word for word."""
    from keras.layers import Conv2D, Dense, Flatten, InputLayer, MaxPool2D
    from keras.models import Sequential

    # fmt: off
    return Sequential([
      InputLayer(input_shape=[3,168,224]),
      Conv2D(filters=32, kernel_size=5, strides=1, padding='same', activation='relu'),
      MaxPool2D(pool_size=8, padding='same'),
      Conv2D(filters=48, kernel_size=3, strides=1, padding='same', activation='relu'),
      MaxPool2D(pool_size=5, padding='same'),
      Conv2D(filters=64, kernel_size=3, strides=1, padding='same', activation='relu'),
      MaxPool2D(pool_size=3, padding='same'),
      Conv2D(filters=32, kernel_size=5, strides=1, padding='same'),
      Flatten(),
      Dense(100, activation='relu'),
      Dense(12, activation='softmax')
    ])
    # fmt: on


@pytest.mark.filterwarnings("ignore:Argument `input_shape`:UserWarning")
def test_the_documented_script_runs_as_written(
    make_session, tmp_path, monkeypatch, capsys, documented_model
):
    make_session("trainingdata", frames=240, width=224, height=168)
    monkeypatch.chdir(tmp_path / "recordings")
    trainer = Trainer()
    trainer.create_balanced_dataset(input_folder_path = "trainingdata", output_folder_path = "trainingdata_balanced", train_test_split = 0.7)  # noqa: E501 # fmt: skip
    labels = trainer.get_classes("trainingdata_balanced")
    assert set(labels) == set(LABELS)
    assert trainer.get_no_classes("trainingdata_balanced") == 12
    losses, accuracies = trainer.train(path_to_folder="trainingdata_balanced", model_definition=documented_model, epochs=2, output_model_path="driver_model.tflite")  # noqa: E501 # fmt: skip
    found = trainer.test(path_to_model="driver_model.tflite", path_to_test_map="trainingdata_balanced/test_map.txt")  # noqa: E501 # fmt: skip

    assert len(losses) == len(accuracies) == 2
    assert losses[1] < losses[0]
    test_lines = Path("trainingdata_balanced/test_map.txt").read_text().splitlines()
    assert sum(row["support"] for row in found["classes"].values()) == len(test_lines)
    assert np.sum(found["confusion_matrix"]) == len(test_lines)
    assert 0 <= found["accuracy"] <= 1
    printed = capsys.readouterr().out
    assert "precision" in printed
    assert "driver_model_confusion.png" in printed
    assert read_image("driver_model_confusion.png").std() > 5
    bundle = load_bundle("driver_model")
    bundle.check_fits(224, 168)
    assert (
        bundle.path(bundle.variant("int8")).read_bytes()
        == Path("driver_model.tflite").read_bytes()
    )


def small_model(classes):
    import keras

    return keras.Sequential(
        [
            keras.Input((48, 64, 3)),
            keras.layers.Conv2D(8, 3, 4, activation="relu"),
            keras.layers.Flatten(),
            keras.layers.Dense(classes, activation="softmax"),
        ]
    )


@pytest.fixture
def balanced(make_session, tmp_path):
    labels = ("stop", "left_light_forward", "move_medium_forward")
    commands = [Command.from_label(label) for label in labels]
    folders = [
        # The column that shows the command stands at index % 12: every 4 is one of three.
        str(make_session(name, 180, lambda index: commands[index % 12 // 4], first=first))
        for name, first in (("one", 0), ("two", 180))
    ]
    Trainer().create_balanced_dataset(folders, str(tmp_path / "balanced"))
    return tmp_path / "balanced"


def test_a_model_of_a_few_classes_in_its_own_order_drives_by_the_twelve(balanced, tmp_path):
    trainer = Trainer(image_width=64, image_height=48)
    model = tmp_path / "few.tflite"
    classes = ["stop", "move_medium_forward", "left_light_forward"]
    trainer.train(str(balanced), small_model(3), 12, str(model), classes, 16)
    assert Interpreter(model).output_shapes == [(1, 12)]
    assert trainer.test(str(model), str(balanced / "test_map.txt"))["accuracy"] > 0.9


def test_frames_of_classes_that_are_not_asked_for_are_left_out(balanced, tmp_path):
    trainer = Trainer(image_width=64, image_height=48)
    classes = ["stop", "move_medium_forward"]
    trainer.train(str(balanced), small_model(2), 1, str(tmp_path / "two.tflite"), classes)
    counts = load_bundle(tmp_path / "two").manifest.data["shown"]
    assert counts["left_light_forward"] == 0
    assert counts["stop"] > 0


def test_a_test_map_whose_images_are_gone_says_so(balanced, tmp_path):
    trainer = Trainer(image_width=64, image_height=48)
    path = tmp_path / "m.tflite"
    trainer.train(str(balanced), small_model(12), 1, str(path))
    test_map = tmp_path / "test_map.txt"
    test_map.write_text("/nowhere/image_1.jpg\tstop\n")
    with pytest.raises(DataError, match="image_1"):
        trainer.test(str(path), str(test_map))


def test_wrong_names_and_paths_say_what_to_use(balanced, tmp_path):
    with pytest.raises(ConfigError, match="deeplearning_framework='keras'"):
        Trainer("cntk")
    trainer = Trainer(image_width=64, image_height=48)
    with pytest.raises(ConfigError, match=r"use 'driver_model\.tflite'"):
        trainer.train(str(balanced), small_model(12), output_model_path="driver_model.onnx")
    with pytest.raises(ConfigError, match=r"does not end in \.tflite"):
        trainer.test("driver_model", "test_map.txt")
    with pytest.raises(DataNotFoundError, match=r"there is no model none\.tflite"):
        trainer.test("none.tflite", "test_map.txt")
    with pytest.raises(DataNotFoundError, match="create_balanced_dataset"):
        trainer.train(str(tmp_path / "none"), small_model(12))
    with pytest.raises(CommandError, match="use 'forward'"):
        trainer.train(str(balanced), small_model(2), classes=["stop", "left_light_forwards"])
    with pytest.raises(ConfigError, match=r"output is \(5,\)"):
        trainer.train(str(balanced), small_model(5), output_model_path=str(tmp_path / "x.tflite"))
