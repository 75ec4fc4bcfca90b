"""What to train, on what, and how."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Literal

from trainer.learning.schedule import Schedule
from trainer.proof.quantize import SHIPPED


@dataclass(frozen=True)
class Settings:
    """What to train, on what, and how.

    ``data`` are folders of recordings; ``output`` is the bundle's folder, ``runs``
    where the run's folder is made (None: no run folder). ``network`` is a name of
    :data:`trainer.networks.NETWORKS` or ``module:function``. ``validation`` and
    ``test`` are shares of the frames, ``gap_s`` seconds apart from training. ``split`` is
    one of :data:`trainer.data.split.KINDS`. ``heads`` names what the classes consist of, see
    :func:`trainer.data.dataset.load_dataset`. ``start`` is the folder of a run whose weights to
    begin with, ``teachers`` those of runs whose networks teach
    (:mod:`trainer.learning.distillation`). ``label_smoothing`` and ``focal`` are those of
    :class:`trainer.learning.objectives.Classes`; ``balance="weights"`` weighs rare classes more in
    place of showing them more often. ``augment_factor`` is how often an image is shown
    in an epoch, each time augmented anew. Only the ``first_classes`` are learnt, where
    that is not 0. ``tensorboard`` writes event files into the run's folder.
    ``precision`` is that of the activations in training; weights are ``float32`` always.
    ``variants`` are the kinds of :data:`trainer.proof.quantize.KINDS` to make; ``force`` ships
    even those that do not answer as the trained model does.
    ``keep_earlier``: a bundle that is there already gets another name, and stays.
    """

    data: tuple[str | Path, ...]
    output: Path
    network: str = "compact"
    width: int = 224
    height: int = 168
    schedule: Schedule = field(default_factory=Schedule)
    batch_size: int = 64
    augment_factor: int = 1
    first_classes: int = 0
    augment: str = "default"
    balance: Literal["upsample", "weights", "none"] = "upsample"
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    label_smoothing: float = 0.1
    focal: float = 0.0
    start: Path | None = None
    teachers: tuple[str, ...] = ()
    split: str = "auto"
    validation: float = 0.15
    test: float = 0.15
    gap_s: float = 1.0
    include_deleted: bool = False
    heads: tuple[str, ...] | None = None
    seed: int = 0
    runs: Path | None = Path("runs")
    tensorboard: bool = False
    variants: tuple[str, ...] = SHIPPED
    force: bool = False
    keep_earlier: bool = False

    def as_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {name: _plain(value) for name, value in asdict(self).items()}

    @classmethod
    def from_dict(cls, raw: Mapping[str, Any]) -> Settings:
        """What :meth:`as_dict` gave, read again. Raises ``TypeError`` for an unknown key."""
        values = {**raw, "schedule": Schedule(**raw["schedule"])}
        for field_ in fields(cls):
            value = values.get(field_.name)
            if isinstance(value, list):
                values[field_.name] = tuple(value)
            elif isinstance(value, str) and "Path" in str(field_.type):
                values[field_.name] = Path(value)
        return cls(**values)


def _plain(value: Any) -> Any:
    if isinstance(value, Path):
        return str(value)
    return [_plain(item) for item in value] if isinstance(value, tuple) else value
