"""``autcar improve``: rounds that can be interrupted and gone on with."""

import json

import pytest

from autcar.cli import main
from autcar.verbs.improve import table


def run(folder, rounds, *options):
    config = folder.parent / "car.toml"
    config.write_text("[camera]\nwidth = 64\nheight = 48\n")
    small = "--frames 700 --corrections 100 --epochs 1 --tracks 2 --seconds 3 --difficulty 0.5"
    where = ("--config", str(config), "--output", str(folder))
    return main(["improve", *where, "--rounds", str(rounds), *small.split(), *options])


def test_rounds_go_on_where_they_ended(tmp_path, capsys):
    pytest.importorskip("tensorflow")
    folder = tmp_path / "improve"
    assert run(folder, 0) in (0, 1)
    first = json.loads((folder / "improve.json").read_text())
    # What an interrupted round left behind is done anew.
    (folder / "round_1" / "recordings" / "torn").mkdir(parents=True)
    assert run(folder, 1, "--json") in (0, 1)
    rounds = json.loads((folder / "improve.json").read_text())
    assert rounds[0] == first[0]
    assert [found["round"] for found in rounds] == [0, 1]
    assert rounds[1]["frames"] == 100
    assert (folder / "round_1" / "bundle" / "manifest.json").is_file()
    said = capsys.readouterr().out
    assert "going on after round 0" in said
    assert table(rounds).splitlines()[-1] in said
    assert run(folder, 1, "--seed", "5") == 2
    assert "was begun with seed 0" in capsys.readouterr().err
