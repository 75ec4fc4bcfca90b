"""The verbs ``train``, ``eval`` and others. Nothing heavy is imported until one runs."""

from __future__ import annotations

from typing import Any

from trainer.verbs import evaluate, networks, sweep, train


def add_verbs(verbs: Any) -> None:
    """Add this package's verbs to the sub-parsers of the ``autcar`` command."""
    for verb in (train, evaluate, sweep, networks):
        verb.add_verb(verbs)
