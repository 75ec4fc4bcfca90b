import pytest

from autcar.commands import LABELS
from trainer.report.card import write_card

ROW = {"precision": 0.5, "recall": 0.4, "f1": 0.44, "support": 10}


@pytest.fixture
def metrics():
    parity = {"agreement": 0.991, "accuracy": 0.7, "keras_accuracy": 0.705, "holds": True}
    return {
        "network": "compact",
        "parameters": 105_884,
        "test": {
            "frames": 10,
            "accuracy": 0.4,
            "balanced_accuracy": 0.4,
            "top": (0.4, 0.6, 0.7),
            "heads": {"turn": 0.5},
            "calibration": {"error": 0.051},
            "baseline_accuracy": 1.0,
            "baseline_label": "stop",
            "per_class": {label: dict(ROW, support=0) for label in LABELS} | {"stop": ROW},
            "steering": None,
        },
        "parity": {"int8": parity, "float32": dict(parity, agreement=1.0)},
        "latency_ms": {"int8": 0.16, "float32": 0.21},
    }


@pytest.fixture
def data():
    return {
        "inputs": ["recordings"],
        "digest": "0123456789abcdef0123",
        "recorded": dict.fromkeys(LABELS, 0) | {"stop": 1234},
        "parts": {"training": 1000, "validation": 100, "test": 10},
        "split": "blocks",
        "gap_s": 1.0,
        "balance": "upsample",
        "augmentation": "default",
        "seed": 0,
        "notes": ["a note"],
    }


def test_it_says_what_the_bundle_saw_how_good_it_is_and_what_it_cannot_do(metrics, data):
    card = write_card("mine", metrics, data)
    assert card.startswith("# mine\n")
    for words in (
        "1,234 frames from `recordings`",
        "1 s apart: 1,000 to train, 100 to validate, 10 to test",
        "| accuracy, 12 classes | 0.400 |",
        "| … of always `stop` | 1.000 |",
        "| truth among the likeliest 2 | 0.600 |",
        "| part: turn | 0.500 |",
        "| expected calibration error | 0.051 |",
        "| `stop` | 1,234 | 10 | 0.40 | 0.50 | 0.44 |",
        "| `int8.tflite` | 99.1% | 0.700 | 0.705 | 0.16 | yes |",
        "Never recorded, so not to be expected: `left_light_backwards`",
        "Found less than half of: `stop` (40% of 10).",
        "- a note",
    ):
        assert words in card
    assert "WARNING" not in card
    assert "steering" not in card


def test_a_file_that_does_not_follow_the_model_is_warned_of(metrics, data):
    metrics["parity"]["int8"]["holds"] = False
    card = write_card("mine", metrics, data)
    assert "WARNING" in card
    assert "**no**" in card


@pytest.mark.parametrize("split", ["blocks", "last", "maps"])
def test_every_split_is_described(metrics, data, split):
    assert "Split " in write_card("mine", metrics, dict(data, split=split))
