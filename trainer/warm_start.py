"""Train on from the weights of an earlier run, as more recordings come in."""

from __future__ import annotations

from pathlib import Path

from autcar.errors import BundleError, DataNotFoundError
from autcar.progress import Progress
from trainer.pipeline import Result, Settings, check_output, train_bundle, train_on

MODEL = "model.keras"
"""The trained Keras model in the folder of a run."""


def train_further(
    settings: Settings, run: Path | None, progress: Progress | None = None
) -> Result:
    """Train as :func:`train_bundle` does, but begin with the weights of ``run``.

    ``run`` is the folder of an earlier run with the same network and frame size; None
    begins anew. Raises :class:`DataNotFoundError` when it holds no model,
    :class:`BundleError` when its model is another network.
    """
    if run is None:
        return train_bundle(settings, progress)
    import keras

    from autcar.commands import LABELS
    from trainer.dataset import load_dataset
    from trainer.networks import build_network
    from trainer.split import split_by_time

    check_output(settings.output)
    path = run / MODEL
    if not path.is_file():
        raise DataNotFoundError(f"there is no {path} to begin with; train anew")
    model = build_network(settings.network, settings.height, settings.width, len(LABELS))
    try:
        model.set_weights(keras.saving.load_model(path, compile=False).get_weights())
    except ValueError as error:
        raise BundleError(
            f"{path} is not the network {settings.network} for {settings.width}×"
            f"{settings.height} frames; train anew"
        ) from error
    dataset = load_dataset(settings.data, include_deleted=settings.include_deleted)
    split = split_by_time(
        dataset,
        validation=settings.validation,
        test=settings.test,
        gap_s=settings.gap_s,
        order="last" if settings.split == "last" else "blocks",
        seed=settings.seed,
    )
    return train_on(dataset, split, settings, progress or Progress(), model=model)
