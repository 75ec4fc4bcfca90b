"""Signs beside the lane."""

import math

import numpy as np
import pytest

from autcar.errors import ConfigError
from autcar.simulator.sign import Sign, parse_signs
from autcar.simulator.track import Track
from autcar.simulator.world import World

TRACK = Track.generate(3)


def difference(kind, back, turn=0.0, lateral=-0.36):
    """What a sign at 3 m changes in the picture of a car that is ``back`` metres before it."""
    images = []
    for track in (TRACK, TRACK.with_sign(Sign(3.0, kind, lateral))):
        world = World(track)
        world.place(3.0 - back, 0.0, turn)
        images.append(world.render().astype(int))
    return images[1], np.abs(images[1] - images[0]).max(axis=2) > 30


@pytest.mark.parametrize(("kind", "colour"), [("stop", (200, 25, 30)), ("priority", None)])
def test_a_sign_is_seen_on_the_right_and_grows(kind, colour):
    sizes = []
    for back in (1.6, 1.1, 0.8):
        image, changed = difference(kind, back)
        assert np.nonzero(changed)[1].min() > 112
        sizes.append(np.count_nonzero(changed))
        if colour:
            assert np.abs(image[changed] - colour).sum(axis=1).min() < 60
    assert 20 < sizes[0] < sizes[1] < sizes[2] < 3000


def test_from_behind_it_is_grey():
    image, changed = difference("stop", -0.9, math.pi)
    reds = image[changed][:, 0] - image[changed][:, 1]
    assert np.count_nonzero(changed) > 100
    assert reds.max() < 40


def test_what_lies_behind_the_lens_or_out_of_view_is_not_drawn():
    for back, turn, lateral in ((-0.5, 0.0, -0.36), (0.1, 0.0, -0.36), (0.8, 1.5, -0.36)):
        assert not difference("stop", back, turn, lateral)[1].any()


def test_a_sign_half_out_of_the_picture_is_cut_off():
    image, changed = difference("stop", 0.5)
    assert changed[:, -1].any() or changed[:, -5:].any()
    assert image.shape == (168, 224, 3)


def test_signs_belong_to_the_lane():
    track = TRACK.with_sign(Sign(TRACK.length + 2.0)).with_sign(Sign(4.0, "priority"))
    assert [sign.s for sign in track.signs] == pytest.approx([2.0, 4.0])
    back = track.reversed()
    assert [sign.s for sign in back.signs] == pytest.approx([TRACK.length - 2, TRACK.length - 4])
    for board in (*track.billboards, *back.billboards):
        assert abs(TRACK.project(board.x, board.y)[1]) == pytest.approx(0.36, abs=0.01)
    assert track.reversed().reversed().billboards[0].x == pytest.approx(track.billboards[0].x)


def test_signs_are_written_in_the_config():
    assert parse_signs("") == []
    assert parse_signs("stop 3.0, priority 7.5,") == [Sign(3.0), Sign(7.5, "priority")]
    for wrong in ("stop", "yield 3", "stop here"):
        with pytest.raises(ConfigError, match="priority 7.5"):
            parse_signs(wrong)


def test_where_a_sign_is_in_the_picture():
    world = World(TRACK.with_sign(Sign(3.0)))
    world.place(2.0)
    (board,) = world.track.billboards
    column, row, height = board.seen(world.mount, *world.point(world.mount.ahead_m), world.heading)
    _, changed = difference("stop", 1.0)
    rows, columns = np.nonzero(changed)
    assert columns.mean() == pytest.approx(column, abs=4)
    assert rows.min() == pytest.approx(row - height / 2, abs=3)
    world.place(4.0)
    assert board.seen(world.mount, *world.point(world.mount.ahead_m), world.heading) is None
