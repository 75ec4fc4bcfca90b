"""Tubs of ours in Donkeycar 5.3, and tubs of Donkeycar's in ours.

Needs Donkeycar in an environment of its own (it wants other versions of nearly
everything). `python benchmarks/recording.py` makes one; AUTCAR_DONKEY names the Python of
another.
"""

import json
import os
import subprocess
from pathlib import Path

import pytest

from autcar.commands import CLASSES
from autcar.recordings import export_recordings, read_recording
from autcar.session import delete_rows
from autcar.tub import read_tub

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "autcar"
DONKEY = os.environ.get("AUTCAR_DONKEY") or str(CACHE / "donkeycar-5.3.0/bin/python")

pytestmark = pytest.mark.skipif(
    not Path(DONKEY).is_file(), reason="needs donkeycar==5.3.0: run benchmarks/recording.py once"
)

READ = """
import json, sys
from donkeycar.parts.tub_v2 import Tub
from donkeycar.pipeline.types import TubRecord
from donkeycar.config import Config
tub = Tub(sys.argv[1], read_only=True)
config = Config()
config.IMAGE_H, config.IMAGE_W, config.IMAGE_DEPTH = 48, 64, 3
config.CACHE_POLICY = "NOCACHE"
rows = []
for raw in tub:
    image = TubRecord(config, tub.base_path, raw).image()
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


def donkey(script, folder):
    done = subprocess.run(
        [DONKEY, "-c", script, str(folder)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_donkeycar_opens_reads_and_continues_our_tub(make_session, tmp_path):
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
