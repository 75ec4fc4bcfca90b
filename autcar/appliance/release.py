"""The gate on the workstation: a bundle that fails its own card does not leave for a car."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from autcar.bundle import Bundle

MOST_DISAGREEMENT = 0.02


@dataclass(frozen=True)
class Objection:
    """Why a bundle should not be deployed; ``check`` is the name to skip it by."""

    check: str
    why: str


def objections(bundle: Bundle, skip: Sequence[str] = ()) -> list[Objection]:
    """What speaks against ``bundle``: its card's own figures, and a drive in the simulator."""
    found = []
    for name, check in CHECKS.items():
        if name not in skip and (why := check(bundle)):
            found.append(Objection(name, why))
    return found


def _card(bundle: Bundle) -> str | None:
    test = bundle.manifest.metrics.get("test")
    figure = "hero_iou" if bundle.manifest.task == "follow" else "accuracy"
    if not isinstance(test, dict) or figure not in test:
        return "its card has no test figures; train it with `autcar train`"
    return None


def _classes(bundle: Bundle) -> str | None:
    confusion = _test(bundle).get("confusion")
    if not confusion:
        return None
    answered = [sum(column) > 0 for column in zip(*confusion, strict=True)]
    if sum(answered) > 1:
        return None
    return "it gives the same answer to every frame; look at `autcar data check` of its data"


def _baseline(bundle: Bundle) -> str | None:
    test = _test(bundle)
    accuracy, baseline = test.get("accuracy", 1.0), test.get("baseline_accuracy", 0.0)
    if accuracy > baseline:
        return None
    return (
        f"accuracy {accuracy:.3f} is no better than always saying "
        f"{test.get('baseline_label', 'the commonest command')} ({baseline:.3f}); record more"
    )


def _parity(bundle: Bundle) -> str | None:
    for name, figures in bundle.manifest.metrics.get("parity", {}).items():
        differs = 1 - figures.get("agreement", 1.0)
        if differs > MOST_DISAGREEMENT:
            return (
                f"{name} answers otherwise than the trained model on {differs:.1%} of the frames"
            )
    return None


def _simulator(bundle: Bundle) -> str | None:
    if bundle.manifest.task == "classify":
        return None  # what classifies has no lane to keep and nobody to follow
    from autcar.appliance.simulator_trial import drive_tracks, objection, walk_behind_hero

    if bundle.manifest.task == "follow":
        return walk_behind_hero(bundle)
    return objection(drive_tracks(bundle.folder))


def _test(bundle: Bundle) -> dict[str, Any]:
    test = bundle.manifest.metrics.get("test")
    return test if isinstance(test, dict) else {}


CHECKS: dict[str, Callable[[Bundle], str | None]] = {
    "card": _card,
    "classes": _classes,
    "baseline": _baseline,
    "parity": _parity,
    "simulator": _simulator,
}
"""Every check by name: why the bundle fails it, or None."""
