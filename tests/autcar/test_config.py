import pytest

from autcar.config import Config, load_config, template
from autcar.errors import ConfigError, DataNotFoundError


def write(tmp_path, text):
    path = tmp_path / "car.toml"
    path.write_text(text, encoding="utf-8")
    return path


def test_the_template_reads_back_as_the_defaults(tmp_path):
    assert load_config(write(tmp_path, template())) == Config()


def test_settings_are_read(tmp_path):
    config = load_config(write(tmp_path, '[car]\nname = "Ada"\n[camera]\nfps = 30\n'))
    assert config.car.name == "Ada"
    assert config.camera.fps == 30.0
    assert isinstance(config.camera.fps, float)
    assert config.camera.width == 224


def test_without_a_file_the_defaults_hold(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert load_config() == Config()
    write(tmp_path, '[car]\nname = "here"\n')
    assert load_config().car.name == "here"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[camera]\nwidht = 3\n", r"car\.toml:2: unknown key widht in \[camera\]; did you mean w"),
        ("\n[camra]\nwidth = 3\n", r"car\.toml:2: unknown section \[camra\]; did you mean camera"),
        ("[car]\n[camera]\nwidth = 0\n", r"car\.toml:3: \[camera\] width = 0: expected 16 to"),
        ('[camera]\nwidth = "3"\n', r'width = "3": expected a whole number'),
        ("[camera]\nwidth = true\n", "expected a whole number"),
        ("[car]\nname = 3\n", "expected a text in quotes"),
        ("camera = 3\n", r"camera is a section; write \[camera\]"),
        ("[camera\n", "is not TOML.*line 1"),
        ("[car]\nzzz = 3\n", "there are name"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(tmp_path, text, says):
    with pytest.raises(ConfigError, match=says):
        load_config(write(tmp_path, text))


def test_a_missing_file_says_how_to_write_one(tmp_path):
    with pytest.raises(DataNotFoundError, match=r"autcar config > .*nowhere\.toml"):
        load_config(tmp_path / "nowhere.toml")
