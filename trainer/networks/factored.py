"""The compact network with a head each for turn, strength and direction.

What is learnt of a turn to the left holds at every strength, so rare commands profit
from common ones. One constant layer makes the 12 commands of the heads' answers.
"""

from __future__ import annotations

from typing import Any

from autcar.commands import LABELS
from autcar.errors import ConfigError
from trainer.data.heads import Heads
from trainer.networks import compact
from trainer.networks.heads import joined, with_heads


def build(height: int, width: int, classes: int) -> Any:
    """RGB frames 0…255, N×height×width×3 → N×12 probabilities."""
    if classes != len(LABELS):
        raise ConfigError(
            f"the factored network answers in the {len(LABELS)} commands, here are {classes} "
            f"classes; use another --network, or data with --heads"
        )
    heads = Heads.of_drive()
    return joined(build_heads(height, width, heads), heads)


def build_heads(height: int, width: int, heads: Heads) -> Any:
    """RGB frames 0…255 → a dictionary of N×classes probabilities by head."""
    network = compact.build(height, width, len(heads.classes))
    network.name = "factored"
    return with_heads(network, heads)
