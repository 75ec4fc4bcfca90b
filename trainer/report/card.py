"""The card of a bundle: what it is, what it saw, how good it is, and what it cannot do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def write_card(name: str, facts: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """``card.md`` from the bundle's metrics and data, as its manifest holds them."""
    test = facts["test"]
    parts = data["parts"]
    sections = [
        f"# {name}",
        f"A `{facts['network']}` network ({facts['parameters']:,} parameters) that tells one of "
        f"12 commands from one camera frame. Feed it raw `uint8` RGB; normalisation is inside.",
        "## Data",
        f"{sum(data['recorded'].values()):,} frames from {_code_list(data['inputs'])}, SHA-256 of "
        f"the list `{data['digest'][:16]}…`.",
        _split_text(data, parts),
        *([_bullets(data["notes"])] if data["notes"] else []),
        "## How good it is",
        f"On {test['frames']:,} test frames, by the {next(iter(facts['parity']))} file:",
        _figures(test),
        _classes(test, data),
        "## Does each file drive as the trained model did?",
        _parity(facts),
        *([] if _holds(facts) else [_WARNING]),
        "## Limits",
        _bullets(_limits(test, data)),
    ]
    return "\n\n".join(sections) + "\n"


_WARNING = (
    "**WARNING: a file above does not follow the trained model** (98 % agreement and at most "
    "1 point of accuracy lost are asked for). It was shipped all the same, with `--force`. Train "
    "longer or on more data before driving it."
)


def _split_text(data: Mapping[str, Any], parts: Mapping[str, int]) -> str:
    how = {
        "blocks": "by blocks of time from all over the recordings, {gap:g} s apart",
        "session": "by whole recordings",
        "source": "by whole sources (drivers, players, places or days)",
        "folders": "as the data's own folders say",
        "last": "by time, {gap:g} s apart, the last of all frames to test on",
        "maps": "as the balanced folder's two maps say (validation, on the test map, neither "
        "stopped the training nor chose its weights)",
    }[data["split"]]
    balance = {
        "upsample": "Rare classes were shown more often in training",
        "weights": "Rare classes weighed more in training",
        "none": "Classes were shown as often as they stand there",
    }[data["balance"]]
    return (
        f"Split {how.format(gap=data['gap_s'])}: {parts['training']:,} to train, "
        f"{parts['validation']:,} to validate, {parts['test']:,} to test. {balance}, with "
        f"augmentation `{data['augmentation']}`; seed {data['seed']}."
    )


def _figures(test: Mapping[str, Any]) -> str:
    rows = [
        (f"accuracy, {len(test['per_class'])} classes", test["accuracy"]),
        (f"… of always `{test['baseline_label']}`", test["baseline_accuracy"]),
        ("balanced accuracy (mean recall)", test["balanced_accuracy"]),
        *((f"truth among the likeliest {k}", x) for k, x in enumerate(test["top"][1:], 2)),
        *((f"part: {name}", share) for name, share in test["heads"].items()),
        ("expected calibration error", test["calibration"]["error"]),
    ]
    if steering := test["steering"]:
        rows += [
            ("steering, 5 classes, forward frames: accuracy", steering["accuracy"]),
            ("… of always the commonest", steering["baseline_accuracy"]),
            ("… balanced accuracy", steering["balanced_accuracy"]),
            ("… within one class", steering["within_one"]),
        ]
    return _table(("figure", "value"), [(what, f"{value:.3f}") for what, value in rows])


def _classes(test: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    return _table(
        ("class", "recorded", "test frames", "recall", "precision", "F1"),
        [
            (
                f"`{label}`",
                f"{data['recorded'][label]:,}",
                f"{row['support']:,}",
                *(
                    f"{row[key]:.2f}" if row["support"] else "–"
                    for key in ("recall", "precision", "f1")
                ),
            )
            for label, row in test["per_class"].items()
        ],
    )


def _parity(facts: Mapping[str, Any]) -> str:
    return (
        _table(
            ("file", "agrees with Keras", "accuracy", "Keras' accuracy", "ms a frame", "verdict"),
            [
                (
                    f"`{kind}.tflite`",
                    f"{row['agreement']:.1%}",
                    f"{row['accuracy']:.3f}",
                    f"{row['keras_accuracy']:.3f}",
                    f"{facts['latency_ms'][kind]:.2f}",
                    "yes" if row["holds"] else "**no**",
                )
                for kind, row in facts["parity"].items()
            ],
        )
        + "\n\nTimes: one thread of the machine that trained, not of a car."
    )


def _holds(facts: Mapping[str, Any]) -> bool:
    return all(row["holds"] for row in facts["parity"].values())


def _limits(test: Mapping[str, Any], data: Mapping[str, Any]) -> list[str]:
    never = [f"`{label}`" for label, count in data["recorded"].items() if not count]
    weak = [
        f"`{label}` ({row['recall']:.0%} of {row['support']:,})"
        for label, row in test["per_class"].items()
        if row["support"] and row["recall"] < 0.5
    ]
    limits = ["It knows only roads, light and cameras like those of its recordings."]
    if never:
        limits.append(f"Never recorded, so not to be expected: {', '.join(never)}.")
    if weak:
        limits.append(f"Found less than half of: {', '.join(weak)}.")
    limits.append("It sees one frame at a time: it has no memory and no sense of speed.")
    return limits


def _code_list(items: list[str]) -> str:
    return ", ".join(f"`{item}`" for item in items)


def _bullets(lines: list[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(head: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    lines = [head, ("---", *("--:" for _ in head[1:])), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
