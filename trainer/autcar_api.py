"""AutCar's ``Trainer`` as its documentation shows it, on top of this package."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from autcar.commands import LABELS, Command
from autcar.errors import BundleError, CommandError, ConfigError, DataError, DataNotFoundError
from autcar.progress import terminal_progress
from trainer.data.balanced_folder import (
    create_balanced_folder,
    get_classes,
    load_balanced_folder,
    load_map,
)


class Trainer:
    """Balances recordings, trains your Keras model on them, and tests it.

    ``image_width`` × ``image_height`` are the frames' size in pixels, which your
    model's input must state. Only Keras is there; anything else raises
    :class:`ConfigError`.
    """

    def __init__(
        self,
        deeplearning_framework: str = "keras",
        image_width: int = 224,
        image_height: int = 168,
    ) -> None:
        if deeplearning_framework != "keras":
            raise ConfigError(
                f"deeplearning_framework {deeplearning_framework!r} is not supported; "
                f"use Trainer(deeplearning_framework='keras')"
            )
        self._width, self._height = image_width, image_height

    def create_balanced_dataset(
        self,
        input_folder_path: str | Sequence[str],
        output_folder_path: str = "balanced_dataset",
        train_test_split: float = 0.8,
    ) -> bool:
        """Make a folder of images with ``train_map.txt`` and ``test_map.txt``; True when done.

        ``input_folder_path`` is a recording or a list of them, ``train_test_split`` the
        share to train on. The parts are split by time before the training part is
        balanced, so no test image is also trained on, and images are linked, not copied.
        """
        for line in create_balanced_folder(
            input_folder_path, output_folder_path, train_test_split
        ):
            print(line)
        return True

    def get_classes(self, path: str) -> dict[str, int]:
        """Training samples by label in the balanced folder ``path``."""
        return get_classes(path)

    def get_no_classes(self, path: str) -> int:
        """How many labels the training part of the balanced folder ``path`` has."""
        return len(get_classes(path))

    def train(
        self,
        path_to_folder: str,
        model_definition: Any,
        epochs: int = 10,
        output_model_path: str = "driver_model.tflite",
        classes: Sequence[str] | None = None,
        minibatch_size: int = 64,
    ) -> tuple[list[float], list[float]]:
        """Train ``model_definition``, a Keras model, on a balanced folder.

        ``classes`` are the labels of the model's outputs in their order, by default
        the car's 12; frames of others are left out. ``output_model_path`` becomes the
        int8 file, and the folder of the same name without ``.tflite`` the bundle, with
        the float file and a card too. Both answer in the car's 12 classes whatever
        ``classes`` is. The model keeps the weights of the last epoch. Returns loss
        and accuracy on the test map, an entry for each epoch, as AutCar does.
        """
        from trainer.quiet import import_tensorflow

        path = _tflite_path(output_model_path)
        labels = _checked_classes(classes)
        import_tensorflow()
        from trainer.data.split import Split
        from trainer.learning.schedule import Schedule
        from trainer.pipeline import check_output, train_on
        from trainer.settings import Settings

        bundle = path.with_suffix("")
        check_output(bundle)
        folder = load_balanced_folder(path_to_folder)
        known = np.isin(folder.dataset.labels, [LABELS.index(label) for label in labels])
        train, test = (rows[known[rows]] for rows in (folder.train, folder.test))
        settings = Settings(
            data=(path_to_folder,),
            output=bundle,
            width=self._width,
            height=self._height,
            schedule=Schedule(epochs=epochs, learning_rate=1e-3, keep="last"),
            batch_size=minibatch_size,
            augment="none",
            balance="none",
            runs=None,
            force=True,  # AutCar's scripts go on with the file, however short they train.
        )
        result = train_on(
            folder.dataset,
            Split(train, test, test),
            settings,
            terminal_progress(),
            model=model_definition,
            classes=labels,
        )
        shutil.copyfile(result.bundle.path(result.bundle.manifest.variants[0]), path)
        print(f"{path} is the int8 model, {bundle}/ the bundle: autcar drive --bundle {bundle}")
        history = result.history.epochs
        return [epoch.val_loss for epoch in history], [epoch.val_accuracy for epoch in history]

    def test(self, path_to_model: str, path_to_test_map: str) -> dict[str, Any]:
        """Run a ``.tflite`` file on the images of a test map.

        Prints precision, recall and F1 of each class and draws the confusion matrix
        beside the model. Returns ``accuracy``, ``balanced_accuracy``, ``classes``
        (precision, recall, f1 and support by label) and ``confusion_matrix``
        (``[truth][prediction]``, in class order).
        """
        from autcar.interpreter import Interpreter
        from trainer.data.batches import Batches
        from trainer.data.cache import ImageCache
        from trainer.proof.evaluate_bundle import predict_frames
        from trainer.proof.evaluation import evaluate, table
        from trainer.report.plots import plot_confusion

        path = _tflite_path(path_to_model)
        if not path.is_file():
            raise DataNotFoundError(f"there is no model {path}; make it with Trainer().train(…)")
        interpreter = Interpreter(path)
        if interpreter.output_shapes[0] != (1, len(LABELS)):
            raise BundleError(
                f"{path} gives {interpreter.output_shapes[0]}, expected (1, {len(LABELS)}), a "
                f"score for each command; train it again with Trainer().train(…)"
            )
        dataset, rows = load_map(path_to_test_map)
        cache = ImageCache(dataset, height=interpreter.shape[1], width=interpreter.shape[2])
        batches = Batches(cache, dataset.labels, rows, shuffle=False)
        scores, truth = predict_frames(interpreter, batches)
        evaluation = evaluate(truth, scores)
        picture = path.with_name(f"{path.stem}_confusion.png")
        title = f"{path.name}: {evaluation.frames:,} frames"
        plot_confusion(evaluation.confusion, LABELS, picture, title)
        for problem in (*dataset.problems, *cache.problems):
            print(problem)
        print(table(evaluation))
        print(f"confusion matrix: {picture}")
        figures = evaluation.as_dict()
        return {
            "accuracy": figures["accuracy"],
            "balanced_accuracy": figures["balanced_accuracy"],
            "classes": figures["per_class"],
            "confusion_matrix": figures["confusion"],
        }


def _tflite_path(given: str) -> Path:
    path = Path(given)
    if path.suffix == ".onnx":
        raise ConfigError(
            f"{given}: ONNX models are not made any more, the car runs TensorFlow Lite; "
            f"use {str(path.with_suffix('.tflite'))!r}"
        )
    if path.suffix != ".tflite":
        raise ConfigError(f"{given} does not end in .tflite; use {given + '.tflite'!r}")
    return path


def _checked_classes(classes: Sequence[str] | None) -> tuple[str, ...]:
    if classes is None:
        return LABELS
    for label in classes:
        if not Command.from_label(label).is_class:
            raise CommandError(f"{label} is not one of the classes {', '.join(LABELS)}")
    if len(set(classes)) < max(2, len(classes)):
        raise DataError(f"classes {list(classes)} must be two or more, each once")
    return tuple(classes)
