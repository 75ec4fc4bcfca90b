import json
import math

import numpy as np
import pytest

from autcar.commands import LABELS
from autcar.errors import DataError, DataNotFoundError
from autcar.recording.tub import TubMapping, is_tub, read_tub
from tests.conftest import SHARED_DATA

REAL_TUB = SHARED_DATA / "tub_formula_usi"
needs_real_tub = pytest.mark.skipif(not REAL_TUB.is_dir(), reason=f"{REAL_TUB} is not here")


def row(index, *, time_ms=None, angle=0.0, throttle=0.3, session="a", **more):
    return {
        "_index": index,
        "_session_id": session,
        "_timestamp_ms": 1_668_211_252_000 + (index * 50 if time_ms is None else time_ms),
        "cam/image_array": f"{index}_cam_image_array_.jpg",
        "user/angle": angle,
        "user/throttle": throttle,
        "user/mode": "user",
        **more,
    }


@pytest.fixture
def make_tub(tmp_path):
    """Write a tub of ``rows`` (dicts, or raw lines), with an image for each dict."""

    def make(rows, deleted=(), catalogs=("catalog_0.catalog",)):
        folder = tmp_path / "tub"
        (folder / "images").mkdir(parents=True)
        lines = []
        for each in rows:
            if isinstance(each, dict):
                name = each["cam/image_array"]
                (folder / "images" / name).write_bytes(f"image {name}".encode())
                each = json.dumps(each)
            lines.append(each)
        (folder / catalogs[0]).write_text("\n".join(lines) + "\n")
        last = {"paths": list(catalogs), "deleted_indexes": list(deleted)}
        heads = [["cam/image_array"], ["image_array"], {}, {}]
        (folder / "manifest.json").write_text("\n".join(map(json.dumps, [*heads, last])) + "\n")
        return folder

    return make


def test_a_tub_is_read_in_the_order_driven(make_tub):
    folder = make_tub([row(2, angle=0.5), row(0, angle=-0.5), row(1, **{"user/mode": "pilot"})])
    assert is_tub(folder)
    tub = read_tub(folder)
    assert [image.name[0] for image in tub.images] == ["0", "1", "2"]
    assert tub.angles.tolist() == [-0.5, 0.0, 0.5]
    assert np.diff(tub.times_ns).tolist() == [50_000_000, 50_000_000]
    assert tub.by_human.tolist() == [True, False, True]
    assert (tub.deleted, tub.problems) == (0, [])


def test_runs_end_at_pauses_new_sessions_and_clocks_set_back(make_tub):
    rows = [row(0), row(1), row(2, time_ms=3_000), row(3, time_ms=3_050, session="b")]
    rows += [row(4, time_ms=1_000, session="b")]
    assert read_tub(make_tub(rows)).runs.tolist() == [0, 0, 1, 2, 3]


def test_deleted_frames_are_left_out_unless_asked_for(make_tub):
    folder = make_tub([row(i) for i in range(4)], deleted=[1, 2])
    assert len(read_tub(folder).images) == 2
    tub = read_tub(folder, include_deleted=True)
    assert (len(tub.images), tub.deleted) == (4, 2)


def test_a_tub_of_deleted_frames_only_says_so(make_tub):
    folder = make_tub([row(0), row(1)], deleted=[0, 1])
    with pytest.raises(DataError, match=r"flags all 2 frames as deleted.*--include-deleted"):
        read_tub(folder)


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        ('{"_index": 9, "_sess', "catalog_0.catalog:2: skipped"),
        ("[1, 2]", "not an object"),
        (json.dumps(row(9) | {"user/angle": None}), "not an object with numbers"),
        (json.dumps(row(9) | {"user/angle": math.nan}), "angle nan or throttle 0.3 is not finite"),
        (json.dumps(row(9) | {"_timestamp_ms": 10**30}), "is no time in ms"),
        (json.dumps({"_index": 9}), "it has no '_timestamp_ms'"),
        (json.dumps(row(9)), "image 9_cam_image_array_.jpg is not there"),
    ],
)
def test_a_line_that_cannot_be_used_is_skipped_and_named(make_tub, line, problem):
    tub = read_tub(make_tub([row(0), line, row(1)]))
    assert len(tub.images) == 2
    assert len(tub.problems) == 1
    assert problem in tub.problems[0]


def test_a_missing_catalog_is_named(make_tub):
    tub = read_tub(make_tub([row(0)], catalogs=("catalog_0.catalog", "catalog_1.catalog")))
    assert "catalog_1.catalog: skipped: the manifest names it" in tub.problems[0]


def test_what_is_no_tub_says_what_is_missing(tmp_path, make_tub):
    with pytest.raises(DataNotFoundError, match="there is no folder"):
        read_tub(tmp_path / "nowhere")
    with pytest.raises(DataNotFoundError, match=r"no manifest\.json"):
        read_tub(tmp_path)
    folder = make_tub(["nothing"])
    with pytest.raises(DataError, match="no usable frame; first problem"):
        read_tub(folder)
    for text in ("", "[]", "{}", '{"paths": 3}'):
        (folder / "manifest.json").write_text(text)
        with pytest.raises(DataError, match="last line should name the catalogs"):
            read_tub(folder)


@pytest.mark.parametrize(
    ("angle", "throttle", "label"),
    [
        (0.0, 0.0, "stop"),
        (-1.0, -0.029, "stop"),
        (0.09, 0.03, "move_medium_forward"),
        (0.0, 0.5, "move_fast_forward"),
        (0.0, -0.9, "move_medium_backwards"),
        (-0.1, 0.9, "left_light_forward"),
        (0.44, -0.3, "right_light_backwards"),
        (-0.45, -0.3, "left_medium_backwards"),
        (1.0, 0.3, "right_medium_forward"),
    ],
)
def test_an_angle_and_a_throttle_become_a_command(angle, throttle, label):
    classes = TubMapping(fast_throttle=0.5).classes(np.array([angle]), np.array([throttle]))
    assert classes.dtype == np.int16
    assert [LABELS[index] for index in classes] == [label]


def test_fast_is_found_from_the_tubs_own_straight_throttle():
    throttles = np.array([-0.5, 0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.9])
    angles = np.array([0, 0, 0, 0, 0, 0, 0, 0.5])
    assert TubMapping().fitted(angles, throttles).fast_throttle == pytest.approx(0.5)
    assert TubMapping(fast_throttle=0.3).fitted(angles, throttles).fast_throttle == 0.3


def test_nothing_is_fast_where_all_is_driven_alike():
    angles, throttles = np.zeros(9), np.full(9, 0.4)
    assert TubMapping().fitted(angles, throttles).fast_throttle == math.inf
    assert {LABELS[i] for i in TubMapping().classes(angles, throttles)} == {"move_medium_forward"}
    assert TubMapping().fitted(angles + 1, throttles).fast_throttle == math.inf


@needs_real_tub
def test_the_real_tub():
    with pytest.raises(DataError, match=r"flags all 19,337 frames as deleted"):
        read_tub(REAL_TUB)
    tub = read_tub(REAL_TUB, include_deleted=True)
    assert (len(tub.images), tub.deleted, tub.problems) == (19_337, 19_337, [])
    assert tub.runs[-1] == 21
    fitted = TubMapping().fitted(tub.angles, tub.throttles)
    assert fitted.fast_throttle == pytest.approx(0.47)
