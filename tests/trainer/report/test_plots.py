import numpy as np
import pytest

from autcar.commands import LABELS
from autcar.images import read_image

pytest.importorskip("matplotlib")

from trainer.learning.history import Epoch, History
from trainer.proof.calibration import calibrate
from trainer.report.plots import (
    plot_calibration,
    plot_classes,
    plot_confusion,
    plot_frames,
    plot_history,
    plot_mix_ups,
    plot_pictures,
)


def drawn(path):
    """The picture at ``path``: large enough to read, and not blank."""
    image = read_image(path)
    assert min(image.shape[:2]) > 150
    assert image.std() > 5
    return image


def test_confusion_leaves_out_classes_that_never_occur(tmp_path):
    few, many = np.zeros((2, 12, 12), int)
    few[:3, :3] = [[5, 1, 0], [0, 4, 0], [2, 0, 1]]
    np.fill_diagonal(many, 1000)
    sizes = [
        drawn(plot_confusion(matrix.tolist(), LABELS, tmp_path / f"{name}.png", "test")).shape
        for name, matrix in (("few", few), ("many", many))
    ]
    assert sizes[0][0] < sizes[1][0]


def test_a_hundred_classes_fit_on_one_picture(tmp_path):
    names = [f"color_{i}" for i in range(123)]
    matrix = np.diag(np.full(123, 20))
    matrix[0, 5] = 4
    image = drawn(plot_confusion(matrix.tolist(), names, tmp_path / "many.png", "test"))
    assert max(image.shape) < 2800


def test_the_commonest_mistakes_or_none(tmp_path):
    matrix = [[5, 3], [0, 9]]
    drawn(plot_mix_ups(matrix, ("a", "b"), tmp_path / "some.png"))
    drawn(plot_mix_ups([[5, 0], [0, 9]], ("a", "b"), tmp_path / "none.png"))


def test_calibration_of_one_bin_and_of_many(tmp_path):
    sure = np.random.default_rng(0).uniform(0.5, 1, 500)
    for name, values in (("one", sure[:1]), ("many", sure)):
        scores = np.stack([values, 1 - values], 1)
        drawn(
            plot_calibration(
                calibrate(np.zeros(len(values), int), scores), tmp_path / f"{name}.png"
            )
        )


def test_pictures_with_their_texts(tmp_path):
    blue = np.full((48, 64, 3), (0, 0, 250), np.uint8)
    image = drawn(plot_pictures([(blue, "a\nb")] * 5, tmp_path / "p.png", title="five"))
    assert (image == (0, 0, 250)).all(2).mean() > 0.2


def test_history_of_one_epoch_and_of_many(tmp_path):
    for count in (1, 8):
        figures = {"accuracy": 0.5, "val_loss": 2.1, "val_accuracy": 0.4}
        epochs = [Epoch(i + 1, {"loss": 2 / (i + 1), **figures}, 900, 3) for i in range(count)]
        drawn(plot_history(History(epochs, count), tmp_path / f"{count}.png"))


def test_classes_before_and_after(tmp_path):
    before = dict.fromkeys(LABELS, 10) | {"stop": 0}
    drawn(plot_classes(before, dict.fromkeys(LABELS, 10), tmp_path / "new" / "classes.png"))


def test_contact_sheet_shows_the_frames(tmp_path):
    red = np.full((48, 64, 3), (250, 0, 0), np.uint8)
    image = drawn(plot_frames({"stop": [red] * 3, "left_light_forward": []}, tmp_path / "f.png"))
    assert (image == (250, 0, 0)).all(2).mean() > 0.05
