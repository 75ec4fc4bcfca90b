import json

import pytest

from autcar.bundle import load_bundle, shipped_bundle
from autcar.errors import ConfigError
from autcar.variant_choice import Choice, recall, remember

CHOICE = Choice("float32", 2, "LiteRT", 0.2)


@pytest.fixture
def bundle(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTCAR_STATE", str(tmp_path / "no car here"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "home"))
    return load_bundle(shipped_bundle())


def test_a_choice_is_recalled_for_its_bundle_and_runtime_only(bundle):
    assert recall(bundle, "LiteRT") is None
    path = remember(bundle, CHOICE)
    assert recall(bundle, "LiteRT") == CHOICE
    assert recall(bundle, "tflite-runtime") is None
    path.rename(path.with_name("another.json"))
    assert recall(bundle, "LiteRT") is None


def test_a_car_keeps_it_in_its_own_state(bundle, tmp_path, monkeypatch):
    state = tmp_path / "var"
    state.mkdir()
    monkeypatch.setenv("AUTCAR_STATE", str(state))
    assert remember(bundle, CHOICE).is_relative_to(state)
    assert recall(bundle, "LiteRT") == CHOICE


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"variant": "int8"}', '{"variant": 7, "threads": 1, "odd": 2}']
)
def test_what_cannot_be_read_is_no_choice(bundle, text):
    path = remember(bundle, CHOICE)
    path.write_text(text)
    assert recall(bundle, "LiteRT") is None


@pytest.mark.parametrize("change", [{"variant": "gone"}, {"threads": 0}, {"threads": "all"}])
def test_what_does_not_fit_is_no_choice(bundle, change):
    path = remember(bundle, CHOICE)
    path.write_text(json.dumps(json.loads(path.read_text()) | change))
    assert recall(bundle, "LiteRT") is None


def test_who_may_not_write_is_told_what_to_type(bundle, monkeypatch):
    def refuse(*_):
        raise PermissionError

    monkeypatch.setattr("autcar.variant_choice.write_atomic", refuse)
    with pytest.raises(ConfigError, match="usermod"):
        remember(bundle, CHOICE)
