import json

from autcar.cli import main
from autcar.recording.session import read_session


def test_the_verbs_do_it_all(make_session, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make_session("a", 60)
    folder = "recordings/a"
    assert main(["data", "list"]) == 0
    assert "60 frames" in capsys.readouterr().out
    assert main(["data", "show", folder]) == 0
    assert (tmp_path / "a.png").is_file()
    assert main(["data", "check", "recordings"]) == 0
    assert "a: 60 frames" in capsys.readouterr().out
    for option, frames in {
        ("--last", "1"): 40,
        ("--undo",): 60,
        ("--first", "0.5"): 49,
        ("--rows", "20:29"): 39,
        ("--seconds", "2.5:99"): 29,
        ("--empty",): 29,
    }.items():
        assert main(["data", "trim", folder, *option]) == 0
        assert len(read_session(folder).records) == frames
    assert main(["data", "trim", folder, "--rows", "x"]) == 2
    assert "write such as 10:20" in capsys.readouterr().err
    assert main(["data", "export", folder, "--as", "tub", "--to", "tub"]) == 0
    assert main(["data", "import", "tub", "--to", "recordings"]) == 0
    assert main(["data", "merge", folder, "recordings/tub", "--to", "recordings/both"]) == 0
    assert "its parts lie beside it, so `autcar train recordings` would" in capsys.readouterr().out
    assert main(["data", "list", "--json"]) == 0
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {row["name"]: row["frames"] for row in rows} == {"a": 29, "both": 58, "tub": 29}
    assert main(["data", "check", folder, "--json"]) in (0, 1)
    assert json.loads(capsys.readouterr().out)["findings"]
    assert main(["data", "list", "nowhere"]) == 2


def test_a_recording_that_cannot_be_read_does_not_hide_the_others(make_session, capsys, tmp_path):
    make_session("good", 24)
    bad = make_session("bad", 3)
    (bad / "training.csv").write_text("")
    assert main(["data", "list", str(tmp_path / "recordings")]) == 0
    assert "24 frames" in capsys.readouterr().out
    assert main(["data", "check", str(tmp_path / "recordings")]) == 1
