"""The score of a walk, against walks that are made to measure."""

import pytest

from autcar.simulator.follow_score import FollowScore
from autcar.simulator.people_world import PeopleWorld, Scene


@pytest.fixture
def world():
    return PeopleWorld(1, Scene(others=0, pillars=0))


def run(world, score, frames):
    for _ in range(frames):
        world.step(0.05)
        score.update()


def test_time_in_view_and_the_nearest(world):
    score = FollowScore(world)
    run(world, score, 30)
    assert score.in_view == 1.0
    assert score.nearest == pytest.approx(2.4, abs=0.5)
    world.hide_hero()
    run(world, score, 10)
    assert score.in_view == pytest.approx(0.75)
    assert score.seconds == pytest.approx(2.0)
    assert score.rest_ms == [], "the car stood"
    assert "75.0% of the time" in score.summary()


def test_how_long_until_rest_is_timed_from_the_first_picture_without_the_hero(world):
    score = FollowScore(world)
    world.set_wheels(0.1, 0.1)
    run(world, score, 4)
    world.hide_hero()
    run(world, score, 4)
    assert score.rest_ms == []
    world.set_wheels(0.0, 0.0)
    run(world, score, 3)
    assert score.rest_ms == [pytest.approx(200)]
    # Wheels that turn later, to look for the hero, are no second rest.
    world.set_wheels(0.1, 0.0)
    run(world, score, 3)
    world.set_wheels(0.0, 0.0)
    run(world, score, 3)
    assert len(score.rest_ms) == 1
    assert score.facts()["rest_ms"] == [200]


def test_a_bump_is_counted_once(world):
    score = FollowScore(world)
    world.put(world.hero.x - 0.3, world.hero.y, 0.0)
    run(world, score, 5)
    assert score.failures == 1
    assert score.nearest < 0.5
    assert "bumped into people 1 times" in score.summary()
