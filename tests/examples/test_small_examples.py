"""The examples of a screen each, as they stand."""

import http.server
import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from autcar.bundle import shipped_bundle
from autcar.images import encode_jpeg
from autcar.testing import check_camera
from tests.conftest import REPOSITORY, free_port, picture

EXAMPLES = REPOSITORY / "examples"


def load(path: Path):
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module
    spec.loader.exec_module(module)
    return module


def run(script, *words, folder):
    return subprocess.run(
        [sys.executable, str(EXAMPLES / script), *map(str, words)],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(REPOSITORY), "MPLBACKEND": "agg"},
        capture_output=True,
        text=True,
        timeout=240,
    )


def test_ten_lines_of_your_own_keep_a_car_on_its_track(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    went = load(EXAMPLES / "own_pilot/drive.py").main(60, realtime=False)
    assert went.well
    assert went.score.laps > 1


class Phone(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=next")
        self.end_headers()
        for index in range(100_000):
            jpeg = encode_jpeg(picture(index % 50))
            head = f"--next\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
            try:
                self.wfile.write(head.encode() + jpeg + b"\r\n")
            except OSError:
                return

    def log_message(self, *_):
        pass


@pytest.fixture
def phone():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Phone)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/video"
    server.shutdown()
    server.server_close()


def test_a_phone_is_a_camera(phone):
    module = load(EXAMPLES / "own_camera/phone_camera.py")
    check_camera(lambda: module.PhoneCamera(32, 24, 20.0, module.PhoneSettings(phone)))
    with pytest.raises(OSError, match="is its app open"):
        module.PhoneCamera(32, 24, 20.0, module.PhoneSettings("http://127.0.0.1:9/video"))


def test_a_network_of_your_own_fits(monkeypatch):
    pytest.importorskip("keras")
    from trainer.networks import build_network

    monkeypatch.chdir(EXAMPLES / "own_network")
    model = build_network("tiny:build", 168, 224, 12)
    assert model.output_shape == (None, 12)
    assert model.count_params() < 40_000


def test_autcars_scripts_record_and_drive(tmp_path):
    done = run("autcar_scripts/record.py", folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert len(list(tmp_path.glob("trainingdata/*/images/*.jpg"))) > 60
    model = shipped_bundle() / "int8.tflite"
    # A busy machine may be late with frames: what is shown here is not how soon it stops then.
    (tmp_path / "car.toml").write_text("[safety]\nframe_age_ms = 900.0\ncommand_ms = 900.0\n")
    done = run("autcar_scripts/drive.py", model, 2, folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, "driven to the end\n"), done.stderr


def test_autcars_remote_drives_the_simulated_car(tmp_path):
    port = free_port()
    (tmp_path / "car.toml").write_text(f"[cockpit]\nremote_port = {port}\n")
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    car = subprocess.Popen(
        [sys.executable, "-m", "autcar", "record", "--port", "0"], cwd=tmp_path, env=environment
    )
    try:
        for _ in range(20):
            done = run("autcar_scripts/remote.py", "127.0.0.1", port, folder=tmp_path)
            if done.returncode == 0:
                break
            time.sleep(0.2)
        assert done.returncode == 0, done.stderr
    finally:
        car.send_signal(signal.SIGINT)
        assert car.wait(20) == 0


def test_autcars_training_script(make_session, tmp_path):
    pytest.importorskip("keras")
    session = make_session("trainingdata", frames=120)
    script = (EXAMPLES / "autcar_scripts/train.py").read_text("utf-8")
    for said, small in (
        ("epochs=10", "epochs=1"),
        ("Trainer()", "Trainer(image_width=64, image_height=48)"),
        ("Input((168, 224, 3))", "Input((48, 64, 3))"),
    ):
        assert said in script
        script = script.replace(said, small)
    (tmp_path / "train.py").write_text(script, encoding="utf-8")
    done = run(tmp_path / "train.py", session, folder=tmp_path)
    assert done.returncode == 0, done.stderr[-2000:]
    assert "precision" in done.stdout
    assert (tmp_path / "driver_model.tflite").is_file()


def test_the_notebook_small(tmp_path, monkeypatch, capsys):
    pytest.importorskip("keras")
    matplotlib = pytest.importorskip("matplotlib")
    matplotlib.use("agg")
    monkeypatch.chdir(tmp_path)
    notebook = json.loads((EXAMPLES / "notebook/session_to_bundle.ipynb").read_text("utf-8"))
    cells = ["".join(c["source"]) for c in notebook["cells"] if c["cell_type"] == "code"]
    assert not any(c.get("outputs") for c in notebook["cells"])
    small = {"FRAMES": 300, "EPOCHS": 1, "SECONDS": 1.0}
    names = {}
    for number, cell in enumerate(cells):
        exec(compile(cell, f"cell {number}", "exec"), names)
        if number == 0:
            assert small.keys() <= names.keys()
            names.update(small)
    assert (tmp_path / "notebook-work/bundle/manifest.json").is_file()
    assert "no wheel off the track" in capsys.readouterr().out
