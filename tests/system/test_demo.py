"""The whole loop, small: record, train, quantize, drive, report."""

import json
import re

import pytest

from autcar import cli

pytest.importorskip("tensorflow", reason="the demo trains; install autcar[workstation]")


def test_the_demo_ends_with_a_page_of_pictures(tmp_path, capsys):
    output = tmp_path / "demo"
    assert cli.main(["demo", "--quick", "--output", str(output)]) == 0
    said = capsys.readouterr().out
    facts = json.loads(said.splitlines()[-1])
    assert facts == json.loads((output / "demo.json").read_text())
    assert facts["straight_on_track"] == 0
    assert facts["int8_agreement"] >= 0.95
    assert len(facts["metres"]) == facts["tracks"] == 2
    assert "always straight" in said
    page = (output / "report.html").read_text()
    pictures = re.findall(r"src='(.*?)'", page)
    assert len(pictures) >= 8
    assert not re.search(r"https?://", page)
    for picture in pictures:
        assert (output / picture).read_bytes().startswith(b"\x89PNG"), picture
    # Once more into the same folder replaces it; a folder of one's own is left alone.
    mine = tmp_path / "mine"
    mine.mkdir()
    (mine / "thesis.txt").touch()
    assert cli.main(["demo", "--quick", "--output", str(mine)]) == 2
    assert "give another --output" in capsys.readouterr().err
    assert (mine / "thesis.txt").exists()
