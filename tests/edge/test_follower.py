"""The follower's logic, on masks and sightings that are made to measure."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autcar.commands import CLASSES, STOP
from autcar.config import FollowSection
from autcar.errors import ConfigError
from autcar.safety import MS
from edge.follower import HERO, PERSON, Follower, Sighting, sight

SETTINGS = FollowSection()
NONE = Sighting(0)


def hero(size=0.4, bearing=0.0, blocked=0.0):
    return Sighting(500, bearing, size, 1.0, blocked)


def told(*sightings, settings=SETTINGS, period_ms=50):
    """What a follower says to one sighting after another, as labels."""
    follower = Follower(settings)
    return [
        follower.decide(seen, 10**12 + number * period_ms * MS).label
        for number, seen in enumerate(sightings)
    ]


def test_a_mask_is_read():
    mask = np.zeros((100, 200), np.uint8)
    mask[20:70, 150:160] = HERO
    seen = sight(mask, 0.8)
    assert seen.pixels == 500
    assert seen.bearing == pytest.approx(0.55, abs=0.02)
    assert seen.size == pytest.approx(0.5, abs=0.03)
    assert seen.sureness == 0.8
    assert seen.blocked == 0.0
    mask[0, 0:3] = mask[99, 0:3] = HERO
    specked = sight(mask)
    assert specked.bearing == seen.bearing, "specks move nothing"
    assert specked.size == pytest.approx(seen.size, abs=0.02)


def test_only_who_stands_ahead_is_in_the_way():
    mask = np.zeros((100, 200), np.uint8)
    mask[10:95, 5:40] = PERSON
    assert sight(mask).blocked == 0.0
    mask[10:95, 90:110] = PERSON
    assert sight(mask).blocked == pytest.approx(0.85, abs=0.04)
    assert sight(mask).pixels == 0


def test_steers_to_where_the_hero_is():
    assert told(hero(0.5)) == ["move_medium_forward"]
    assert told(hero(0.3)) == ["move_fast_forward"]
    assert told(hero(0.4, 0.3)) == ["right_light_forward"]
    assert told(hero(0.4, -0.3)) == ["left_light_forward"]
    assert told(hero(0.4, 0.8)) == ["right_medium_forward"]
    assert told(hero(0.4, -0.8)) == ["left_medium_forward"]


def test_keeps_its_distance():
    assert told(hero(0.6)) == ["stop"]
    assert told(hero(0.75)) == ["move_medium_backwards"]
    # Backing with the wheels to the right swings the nose to the left.
    assert told(hero(0.75, -0.3)) == ["right_light_backwards"]
    assert told(hero(0.6, -0.6)) == ["right_medium_backwards"]
    assert told(hero(0.6, 0.6)) == ["left_medium_backwards"]
    assert told(hero(0.75, -0.3), settings=replace(SETTINGS, back=False)) == ["stop"]


def test_what_began_ends_later():
    assert told(hero(0.53)) == ["stop"]
    assert told(hero(0.5), hero(0.53)) == ["move_medium_forward"] * 2
    assert told(hero(0.75), hero(0.65), hero(0.6))[1:] == ["move_medium_backwards", "stop"]
    assert told(hero(0.4, 0.15)) == ["move_medium_forward"]
    assert told(hero(0.4, 0.3), hero(0.4, 0.15))[1] == "right_light_forward"


def test_somebody_in_the_way_is_not_driven_at():
    assert told(hero(0.3, 0.0, blocked=0.8)) == ["stop"]
    assert told(hero(0.3, 0.0, blocked=0.4)) == ["move_fast_forward"]


def test_one_picture_without_the_hero_changes_nothing_and_most_of_them_stop():
    seen = told(*[hero()] * 6, NONE, hero(), *[NONE] * 6)
    assert seen[6:8] == ["move_medium_forward"] * 2
    assert seen[-1] == "stop"
    assert seen[8:].index("stop") <= 3


def test_a_speck_does_not_bring_the_hero_back():
    seen = told(*[NONE] * 6, hero(), NONE, NONE, *[hero()] * 6)
    assert seen[:9] == ["stop"] * 9
    assert seen[-1] == "move_medium_forward"
    assert told(*[Sighting(SETTINGS.least_pixels - 1, size=0.3)] * 9) == ["stop"] * 9


def test_a_speck_on_somebody_else_is_not_the_hero_who_just_stood_there():
    speck = hero(0.1, 0.3)
    seen = told(*[hero(0.5)] * 6, *[speck] * 12)
    assert seen[8:10] == ["stop"] * 2, "stopped as without any"
    assert seen[-1] == "right_light_forward", "after that, small is far"


def test_who_steps_in_the_way_stops_it_before_the_hero_counts_as_lost():
    seen = told(*[hero(0.4)] * 6, Sighting(0, blocked=0.9))
    assert seen[-2:] == ["move_medium_forward", "stop"]


def test_looks_for_a_lost_hero_only_where_allowed_and_for_a_while():
    sightings = [hero(bearing=0.3)] * 6 + [NONE] * 300
    assert set(told(*sightings)[10:]) == {"stop"}
    searching = told(*sightings, settings=replace(SETTINGS, search=True))
    assert searching[10:25] == ["stop"] * 15, "it stands a second first"
    assert searching[60] == "right_medium_forward"
    assert searching[-1] == "stop"
    left = told(*[hero(bearing=-0.3)] * 6, *[NONE] * 60, settings=replace(SETTINGS, search=True))
    assert left[-1] == "left_medium_forward"
    never = told(*[NONE] * 60, settings=replace(SETTINGS, search=True))
    assert set(never) == {"stop"}, "who was never seen is not looked for"
    perhaps = [hero(bearing=0.3)] * 6 + [NONE] * 60 + [hero(0.9)]
    assert told(*perhaps, settings=replace(SETTINGS, search=True))[-1] == "stop"
    crowd = [hero(bearing=0.3)] * 6 + [Sighting(0, blocked=0.9)] * 60
    assert told(*crowd, settings=replace(SETTINGS, search=True))[-1] == "stop"


def test_says_what_it_does():
    follower = Follower()
    assert follower.state == "waiting for the hero"
    time_ns = 0
    for seen, state in (
        (hero(0.3), "following"),
        (hero(0.6), "near enough"),
        (hero(0.8), "too near"),
        (hero(0.4, blocked=0.9), "somebody is in the way"),
    ):
        time_ns += 50 * MS
        follower.decide(seen, time_ns)
        assert follower.state == state
    for _ in range(8):
        time_ns += 50 * MS
        follower.decide(NONE, time_ns)
    assert follower.state == "hero lost"


def test_a_hero_who_is_near_before_they_are_there_is_refused():
    with pytest.raises(ConfigError, match=r"\[follow\] near = 0.4 must be more than size = 0.55"):
        FollowSection(near=0.4)


sightings = st.builds(
    Sighting,
    pixels=st.sampled_from([0, 3, 400]),
    bearing=st.floats(-1, 1),
    size=st.floats(0, 1),
    sureness=st.just(1.0),
    blocked=st.floats(0, 1),
)
walks = st.lists(st.tuples(sightings, st.integers(5, 200)), max_size=40)
choices = st.builds(FollowSection, back=st.booleans(), search=st.booleans())


@settings(max_examples=300, deadline=None)
@given(walks, choices)
def test_whatever_is_seen_it_comes_no_nearer_than_it_may(walk, chosen):
    follower, time_ns = Follower(chosen), 10**12
    for seen, ms in walk:
        time_ns += ms * MS
        command = follower.decide(seen, time_ns)
        assert command in CLASSES
        forward = sum(command.wheels) > 0
        if not chosen.back:
            assert sum(command.wheels) >= 0
        if seen.pixels >= chosen.least_pixels and max(seen.size, seen.blocked) >= chosen.near:
            assert not forward
        if follower.lost and not chosen.search:
            assert command == STOP


@settings(max_examples=100, deadline=None)
@given(walks, st.integers(5, 100), choices)
def test_a_hidden_hero_stops_the_car_in_time(walk, period_ms, chosen):
    follower, time_ns = Follower(chosen), 10**12
    for seen, ms in walk:
        time_ns += ms * MS
        follower.decide(seen, time_ns)
    hidden_ns = time_ns
    while time_ns < hidden_ns + chosen.lost_ms * MS:
        time_ns += period_ms * MS
        command = follower.decide(NONE, time_ns)
    if not chosen.search:
        assert command == STOP
    assert follower.lost


@settings(max_examples=100, deadline=None)
@given(walks, choices)
def test_left_and_right_are_alike(walk, chosen):
    one, other, time_ns = Follower(chosen), Follower(chosen), 10**12
    for seen, ms in walk:
        time_ns += ms * MS
        # Who was lost straight ahead has no side: they are looked for on the left.
        seen = replace(seen, bearing=seen.bearing or 0.01)
        mirrored = replace(seen, bearing=-seen.bearing)
        assert one.decide(seen, time_ns).mirrored() == other.decide(mirrored, time_ns)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([0, 1, 2]), min_size=48, max_size=48))
def test_any_mask_can_be_read(pixels):
    seen = sight(np.array(pixels, np.uint8).reshape(6, 8))
    assert -1 <= seen.bearing <= 1
    assert 0 <= seen.size <= 1
    assert 0 <= seen.blocked <= 1
    assert seen.pixels == pixels.count(HERO)
