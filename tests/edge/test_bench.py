import json

import pytest

from autcar import cli
from autcar.bundle import load_bundle, shipped_bundle
from autcar.interpreter import find_runtime
from autcar.variant_choice import Choice, recall, remember
from edge.bench import Timing, fastest, threads_to_try


@pytest.fixture(autouse=True)
def state(tmp_path, monkeypatch):
    monkeypatch.setenv("AUTCAR_STATE", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def facts_of(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_inference_times_each_variant(capsys):
    assert cli.main(["bench", "inference", "--runs", "5", "--json"]) == 0
    facts = facts_of(capsys)
    assert {row["variant"] for row in facts["variants"]} == {"int8", "float32"}
    assert all(0 < row["median_ms"] <= row["p95_ms"] for row in facts["variants"])
    assert not {"camera", "loop", "disk"} & facts.keys()


def test_camera_loop_and_disk_of_the_simulated_car(capsys):
    assert cli.main(["bench", "camera", "loop", "disk", "--seconds", "0.6", "--json"]) == 0
    facts = facts_of(capsys)
    assert 10 < facts["camera"]["frames_per_s"] < 21
    assert 0 < facts["loop"]["pilot_cpu_ms"] < facts["loop"]["cpu_ms"]
    assert facts["loop"]["age_median_ms"] >= facts["loop"]["pilot_ms"] > 0
    assert facts["disk"]["mb_per_s"] > 0
    assert facts["disk"]["sync_worst_ms"] >= facts["disk"]["sync_median_ms"]


def test_what_is_not_known_is_refused(capsys):
    assert cli.main(["bench", "engine"]) == cli.WRONG_INPUT
    assert "inference, camera, loop, disk" in capsys.readouterr().err


def test_choose_is_what_drive_then_uses(capsys):
    assert cli.main(["bench", "--choose", "--runs", "6", "--json"]) == 0
    chosen = facts_of(capsys)["choice"]
    bundle = load_bundle(shipped_bundle())
    assert recall(bundle, find_runtime()[0]) == Choice(**chosen)
    # Whatever was fastest, the other file is used when it is the choice.
    for variant in ("float32", "int8"):
        remember(bundle, Choice(variant, 1, chosen["runtime"], 0.1))
        assert cli.main(["drive", "--fast", "--seconds", "0.2"]) == 0
        assert f"({variant}, {chosen['runtime']}) drives" in capsys.readouterr().out


def test_threads_of_the_choice_reach_the_interpreter(capsys):
    remember(load_bundle(shipped_bundle()), Choice("float32", 2, find_runtime()[0], 0.1))
    assert cli.main(["drive", "--fast", "--seconds", "0.2"]) == 0
    assert "2 threads) drives" in capsys.readouterr().out
    assert cli.main(["drive", "--fast", "--seconds", "0.2", "--variant", "float32"]) == 0
    assert "threads" not in capsys.readouterr().out


def timing(name, threads, ms):
    return Timing(name, threads, ms, 0.0, ms, 1.0)


def test_more_threads_must_be_worth_it():
    one, two = timing("int8", 1, 1.0), timing("int8", 2, 0.95)
    assert fastest([two, one]) is one
    assert fastest([one, timing("int8", 2, 0.8)]).threads == 2
    assert fastest([one, timing("float32", 1, 0.97)]).variant == "float32"


@pytest.mark.parametrize(("cores", "tried"), [(1, [1]), (2, [1]), (4, [1, 2, 3])])
def test_never_all_cores(cores, tried, monkeypatch):
    monkeypatch.setattr("edge.bench.cores", lambda: cores)
    assert threads_to_try() == tried
