"""Tubs of ours in Donkeycar 5.3, and tubs of Donkeycar's in ours.

Needs Donkeycar in an environment of its own (it wants other versions of nearly
everything). `python benchmarks/recording.py` makes one; AUTCAR_DONKEY names the Python of
another.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from autcar.commands import CLASSES
from autcar.recording.conversion import export_recordings
from autcar.recording.deletion import delete_rows
from autcar.recording.reading import read_recording
from autcar.recording.tub import read_tub

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autcar"


@pytest.fixture(scope="module")
def donkey():
    """Runs a script in Donkeycar's environment, which only CI makes where it is missing."""
    python = Path(os.environ.get("AUTCAR_DONKEY") or CACHE / "donkeycar-5.3.0/bin/python")
    if not python.is_file():
        if not os.environ.get("AUTCAR_NO_SKIP"):
            pytest.skip("needs donkeycar==5.3.0: run benchmarks/recording.py once")
        python.parent.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run([sys.executable, "-m", "venv", str(python.parent.parent)], check=True)
        packages = ["donkeycar==5.3.0", "opencv-python-headless<4.12"]
        subprocess.run([python, "-m", "pip", "install", "--quiet", *packages], check=True)

    def run(script, folder):
        command = [python, "-c", script, str(folder)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout

    return run


READ = """
import json, os, sys
import numpy as np
from PIL import Image
from donkeycar.parts.tub_v2 import Tub
tub = Tub(sys.argv[1], read_only=True)
rows = []
for raw in tub:
    image = np.asarray(Image.open(os.path.join(tub.images_base_path, raw["cam/image_array"])))
    rows.append([raw["_index"], raw["user/angle"], raw["user/throttle"], raw["user/mode"],
                 raw["_session_id"], list(image.shape)])
print("ROWS" + json.dumps([len(tub), rows]))
tub.close()
"""

APPEND = """
import json, sys
import numpy as np
from donkeycar.parts.tub_v2 import Tub
inputs, types = (json.loads(line) for line in open(sys.argv[1] + "/manifest.json").readlines()[:2])
tub = Tub(sys.argv[1], inputs, types)
for index in range(30):
    tub.write_record({"cam/image_array": np.full((48, 64, 3), index, np.uint8),
                      "user/angle": 0.5, "user/throttle": 0.4, "user/mode": "user"})
tub.delete_records([3, 4])
tub.close()
"""


def test_donkeycar_opens_reads_and_continues_our_tub(make_session, tmp_path, donkey):
    first, second = make_session("a", 1200), make_session("b", 24)
    delete_rows(first, 10, 19)
    export_recordings([first, second], tmp_path / "tub", "tub", include_deleted=True)

    length, rows = json.loads(donkey(READ, tmp_path / "tub").partition("ROWS")[2])
    assert length == len(rows) == 1214
    assert [row[0] for row in rows] == [*range(10), *range(20, 1224)]
    assert {row[4] for row in rows} == {"autcar_0", "autcar_1"}
    assert {tuple(row[5]) for row in rows} == {(48, 64, 3)}
    assert {row[3] for row in rows} == {"user"}

    donkey(APPEND, tmp_path / "tub")
    tub = read_tub(tmp_path / "tub", include_deleted=True)
    assert (len(tub.images), tub.deleted) == (1254, 12)
    session = read_recording(tmp_path / "tub")
    assert len(session.records) == 1242
    assert session.records[0].command == CLASSES[0]
    assert session.records[-1].command.label == "right_medium_forward"
