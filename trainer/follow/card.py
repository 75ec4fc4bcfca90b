"""The card of a bundle that finds the hero."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def write_follow_card(name: str, facts: Mapping[str, Any], data: Mapping[str, Any]) -> str:
    """``card.md`` from the bundle's metrics and data, as its manifest holds them."""
    test = facts["test"]
    lost = ", ".join(f"{kind} {max(loss, 0):.4f}" for kind, loss in facts["iou_loss"].items())
    times = ", ".join(f"{kind} {ms:.1f} ms" for kind, ms in facts["latency_ms"].items())
    sections = [
        f"# {name}",
        f"A `{facts['network']}` network ({facts['parameters']:,} parameters, "
        f"{facts['macs'] / 1e6:,.0f} MMAC a frame) that gives each pixel of one camera frame a "
        f"probability for each class. Feed it raw `uint8` RGB; "
        f"normalisation is inside.",
        "## Data",
        f"{sum(data['recorded'].values()):,} images with masks from "
        f"{', '.join(f'`{path}`' for path in data['inputs'])}, SHA-256 of the list "
        f"`{data['digest'][:16]}…`: {data['parts']['training']:,} to train on, "
        f"{data['parts']['validation']:,} held out (split: {data['split']}), seed "
        f"{data['seed']}. {facts['epochs']} epochs, {facts['minutes']:g} minutes.",
        "## How good it is",
        f"On the images held out, by the int8 file: score **{test['score']:.3f}** = hero IoU "
        f"{test['hero_iou']:.3f} (mean of close and far) × {test['weight']:.3f} (TP / (TP + FP + "
        f"FN) of images by whether the hero is found), as Udacity's Follow Me project counts.",
        _table(test),
        f"The most that a file lost of any class's IoU or of the score, against the trained "
        f"model: {lost}. One image takes {times} on one thread of the machine that trained, "
        f"not of a car.",
        "## Limits",
        "- It knows only people, places and cameras like those of its images.\n"
        "- Images held out come from the same recordings as those trained on, unless the data "
        "came in parts of its own.\n"
        "- It sees one image at a time: a hero of a few pixels is missed now and then.",
    ]
    return "\n\n".join(sections) + "\n"


def _table(test: Mapping[str, Any]) -> str:
    classes = list(test["whole"]["iou"])
    head = ["hero", "images", *(f"IoU {name}" for name in classes), "TP", "FP", "FN"]
    lines = [head, ["---", *("--:" for _ in head[1:])]]
    for name, row in (*test["subsets"].items(), ("all", test["whole"])):
        lines.append(
            [
                name,
                f"{row['images']:,}",
                *(f"{row['iou'][label]:.3f}" for label in classes),
                *(f"{row[f'{kind}s']:,}" for kind in ("true_positive", "false_positive")),
                f"{row['false_negatives']:,}",
            ]
        )
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
