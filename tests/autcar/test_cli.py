"""The command line: light to start, clear when it fails, honest in its exit code."""

import argparse
import json
import subprocess
import sys

import pytest

from autcar import cli
from autcar.errors import CameraError, DataError

VERBS = ["demo", "record", "train", "eval", "drive", "config", "sim", "bench", "doctor"]


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_explains_itself_with_examples(verb, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main([verb, "--help"])
    assert ended.value.code == 0
    assert f"autcar {verb}" in capsys.readouterr().out.split("examples:")[1]


def test_help_loads_nothing_heavy():
    code = (
        "import sys; from autcar.cli import build_parser; build_parser().format_help();"
        "print([m for m in ('tensorflow', 'cv2', 'numpy', 'aiohttp', 'matplotlib', 'rich')"
        " if m in sys.modules])"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout.strip() == "[]", ended.stderr


@pytest.mark.parametrize(("verb", "module"), cli._AT_ONCE.items())
def test_a_verb_that_a_car_waits_for_loads_no_other(verb, module, capsys):
    with pytest.raises(SystemExit):
        cli.main([verb, "--help"])
    assert capsys.readouterr().out.startswith(f"usage: autcar {verb} ")
    code = (
        f"import sys; from autcar import cli; cli.build_parser({verb!r});"
        "print([m for m in cli._MODULES if m in sys.modules], 'numpy' in sys.modules)"
    )
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert ended.stdout == f"{[module]} False\n", ended.stderr


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (DataError("no data; record some"), 2, "autcar: no data; record some\n"),
        (CameraError("camera gone"), 1, "autcar: camera gone\n"),
        (PermissionError(13, "Permission denied", "/proc/x"), 1, "'/proc/x'; check the path"),
        (KeyboardInterrupt(), 130, "autcar: interrupted\n"),
        (ZeroDivisionError("oops"), 3, "a fault in autcar"),
        (ModuleNotFoundError(name="matplotlib.figure"), 2, "pip install 'autcar[workstation]'"),
        (ModuleNotFoundError(name="trainer.nothing"), 3, "a fault in autcar"),
    ],
)
def test_errors_become_messages_and_exit_codes(error, code, says, capsys):
    def fail():
        raise error

    assert cli.run_safely(fail) == code
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["drvie"], "there is no verb 'drvie'; did you mean `autcar drive`?"),
        (["data", "lst"], "there is no action 'lst'; did you mean `autcar data list`?"),
        ([], "the following arguments are required: VERB; see `autcar --help`"),
        (
            ["drive", "--bundel", "mine"],
            "autcar drive takes no --bundel mine; did you mean --bundle?; see `autcar drive --",
        ),
        (
            ["data", "list", "here", "there"],
            "autcar data list takes no there; see `autcar data list",
        ),
        (
            ["deploy", "pi@car.local", "--force", "models/mine"],
            "autcar deploy takes no models/mine there: options go before or after CAR BUNDLE, not",
        ),
        (["record", "--frames", "0"], "--frames: '0' is not a whole number from 1"),
        (["record", "--port", "99999"], "--port: '99999' is not a port from 0 (any free one) to"),
        (["drive", "--seconds", "-3"], "--seconds: '-3' is not a number of seconds above 0"),
        (["drive", "--seed", "-1"], "--seed: '-1' is not a whole number from 0"),
        (["train", "here", "--epochs", "0"], "--epochs: '0' is not a whole number from 1"),
        (["train", "here", "--test", "15"], "--test: '15' is not a number from 0 to 1"),
        (["train", "here", "--lr", "nan"], "--learning-rate/--lr: 'nan' is not a number above 0"),
        (["train", "here", "--size", "12"], "'12' is not WIDTHxHEIGHT in pixels, 32 or more each"),
        (["networks", "--size", "12"], "'12' is not WIDTHxHEIGHT in pixels, 32 or more each"),
    ],
)
def test_a_slip_says_what_was_meant(words, says, capsys):
    with pytest.raises(SystemExit) as ended:
        cli.main(words)
    assert ended.value.code == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "says"),
    [
        ("record --pilot expert --keyboard", "--keyboard does nothing here: the expert drives"),
        ("record --frames 500", "--frames does nothing here: a person drives; add --pilot expert"),
        ("drive --pilot expert --bundle mine", "--bundle does nothing here: no bundle drives"),
        ("drive --arm", "--arm does nothing here"),
        ("replay drives/one --variant int8", "add --bundle FOLDER"),
    ],
)
def test_an_option_that_would_do_nothing_is_refused(words, says, capsys):
    assert cli.main(words.split()) == 2
    assert says in capsys.readouterr().err


def test_frames_are_logged_beside_a_log(capsys):
    assert cli.main(["drive", "--log-frames", "--fast"]) == 2
    assert "add --log FOLDER" in capsys.readouterr().err


def test_doctor_reads_car_toml(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "car.toml").write_text("[camera]\nwidht = 3\n")
    assert cli.main(["doctor"]) == 1
    assert "did you mean width?" in capsys.readouterr().out


def test_config_prints_a_file_that_reads_back(tmp_path, capsys):
    assert cli.main(["config"]) == 0
    path = tmp_path / "car.toml"
    path.write_text(capsys.readouterr().out, encoding="utf-8")
    assert cli.main(["config", "--config", str(path)]) == 0


def test_a_wrong_config_is_no_traceback(tmp_path, capsys):
    path = tmp_path / "car.toml"
    path.write_text("[camera]\nwidht = 3\n")
    assert cli.main(["config", "--config", str(path)]) == 2
    assert "did you mean width?" in capsys.readouterr().err


def test_doctor_speaks_json(capsys):
    code = cli.main(["doctor", "--json"])
    findings = json.loads(capsys.readouterr().out)
    assert {"Python", "interpreter", "shipped bundle"} <= {row["what"] for row in findings}
    assert code == any(row["state"] == "failure" for row in findings)


@pytest.mark.parametrize("what", ["map", "frames"])
def test_sim_draws(tmp_path, what, capsys):
    path = tmp_path / "picture.png"
    assert cli.main(["sim", what, "--seed", "3", "--output", str(path)]) == 0
    assert path.read_bytes().startswith(b"\x89PNG")


def test_drive_fast(tmp_path, capsys):
    """The shipped bundle keeps to a track that it never saw; going straight does not."""
    way = tmp_path / "way.png"
    command = ["drive", "--fast", "--seconds", "20", "--seed", "777", "--json"]
    assert cli.main([*command, "--map", str(way)]) == 0
    facts = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert facts["score"]["failures"] == 0
    assert facts["score"]["distance_m"] > 4
    assert facts["reason"] is None
    assert way.exists()
    assert cli.main([*command, "--pilot", "straight"]) == 1


def test_record_by_the_expert(tmp_path, capsys):
    assert (
        cli.main(["record", "--pilot", "expert", "--frames", "60", "--output", str(tmp_path)]) == 0
    )
    assert f"next: autcar train {tmp_path}" in capsys.readouterr().out
    (folder,) = tmp_path.iterdir()
    assert len((folder / "training.csv").read_text().splitlines()) == 60


def test_the_same_seed_records_the_same_bytes(tmp_path):
    for name in ("one", "two"):
        command = ["record", "--pilot", "expert", "--frames", "40", "--seed", "5"]
        assert cli.main([*command, "--output", str(tmp_path / name)]) == 0
    files = [sorted(p for p in (tmp_path / n).rglob("*") if p.is_file()) for n in ("one", "two")]
    assert len(files[0]) == 42
    for first, second in zip(*files, strict=True):
        assert first.read_bytes() == second.read_bytes(), first.name


def test_every_option_says_what_it_does():
    def silent(parser, name):
        for action in parser._actions:
            if isinstance(action, argparse._SubParsersAction):
                for verb in {choice.dest for choice in action._choices_actions}:
                    yield from silent(action.choices[verb], f"{name} {verb}")
            elif action.help != argparse.SUPPRESS and (action.help or "(").startswith("("):
                yield f"{name} {action.option_strings or action.dest}"

    assert list(silent(cli.build_parser(), "autcar")) == []
