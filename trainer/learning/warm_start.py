"""Begin with the weights of an earlier run, as more recordings come in or classes change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from autcar.bundle import MANIFEST, load_bundle
from autcar.errors import BundleError, DataNotFoundError

MODEL = "model.keras"
"""The trained Keras model in the folder of a run."""
SUMMARY = "summary.json"
"""What came of a run, and ``classes``, which the model's outputs are."""


def begin_with(model: Any, folder: Path) -> str:
    """Give ``model`` the weights of the run in ``folder``, as far as they fit; says how far.

    ``folder`` may be a bundle whose run is still there. Weights are taken in order until
    one has another shape, so a network for other classes keeps all but its last layer.
    Raises :class:`DataNotFoundError` when there is no run, :class:`BundleError` when less
    than half of the network fits.
    """
    import keras

    path = model_of(folder)
    taken = keras.saving.load_model(path, compile=False).weights
    fitting = 0
    for target, source in zip(model.weights, taken, strict=False):
        if tuple(target.shape) != tuple(source.shape):
            break
        target.assign(source)
        fitting += 1
    if fitting < len(model.weights) / 2:
        raise BundleError(
            f"{path} is another network than {model.name}, or for frames of another size: "
            f"{fitting} of its {len(model.weights)} weights fit; give the --network and --size "
            f"it was trained with, or train anew"
        )
    rest = len(model.weights) - fitting
    return f"begins with {path}" + (f"; the last {rest} weights begin anew" if rest else "")


def model_of(folder: Path) -> Path:
    """The Keras model of the run in ``folder``, or of the run that made the bundle there.

    Raises :class:`DataNotFoundError` when there is none.
    """
    if (folder / MODEL).is_file():
        return folder / MODEL
    if not (folder / MANIFEST).is_file():
        raise DataNotFoundError(
            f"there is no {folder / MODEL}; give the folder of a run of `autcar train`"
        )
    run = load_bundle(folder).manifest.data.get("run")
    if run and (Path(run) / MODEL).is_file():
        return Path(run) / MODEL
    raise DataNotFoundError(
        f"{folder} is a bundle, whose .tflite files cannot be trained further, and the run that "
        f"made it is not here ({run or 'it names none'}); give that run's folder"
    )
