"""The world of people: walks without a bump, and masks that are the picture's."""

import math
from dataclasses import replace

import cv2
import numpy as np
import pytest

from autcar.simulator.billboards import HERO, random_look
from autcar.simulator.draw import floor_map, world_map
from autcar.simulator.pedestrians import APART_M
from autcar.simulator.people_world import (
    BACKGROUND,
    PERSON,
    REACH_M,
    THE_HERO,
    PeopleWorld,
    Pillar,
    Scene,
    looking_up,
)


def place(one, x, y, heading=0.0):
    one.walker.x, one.walker.y, one.walker.heading = x, y, heading


def alone(seed=1, **scene):
    return PeopleWorld(seed, Scene(others=0, pillars=0, **scene))


@pytest.mark.parametrize("seed", range(4))
def test_nobody_bumps_into_anybody(seed):
    world = PeopleWorld(seed, Scene(others=9, pillars=3))
    before = [(one.x, one.y) for one in world.people]
    apart = math.inf
    for _ in range(400):
        world.step(0.1)
        for number, one in enumerate(world.people):
            here = (one.x, one.y)
            assert math.hypot(*here) < REACH_M + 1.5
            others = world.people[:number]
            apart = min([apart, *(math.dist(here, (other.x, other.y)) for other in others)])
            for post in world.pillars:
                assert math.dist(here, (post.x, post.y)) > post.width / 2 + 0.2
    assert apart >= APART_M
    after = [(one.x, one.y) for one in world.people]
    moved = [math.dist(a, b) for a, b in zip(before, after, strict=True)]
    assert sum(metres > 0.5 for metres in moved) > 6


def test_the_same_seed_is_the_same_walk_however_time_is_cut():
    worlds = [PeopleWorld(7), PeopleWorld(7), PeopleWorld(8)]
    for _ in range(40):
        worlds[0].step(0.1)
        for _ in range(2):
            worlds[1].step(0.05)
        worlds[2].step(0.1)
    places = [[(one.x, one.y) for one in world.people] for world in worlds]
    assert places[0] == places[1]
    assert places[0] != places[2]
    assert (worlds[0].render() == worlds[1].render()).all()
    assert (worlds[0].mask() == worlds[1].mask()).all()


@pytest.mark.parametrize("away", [1.2, 2.4, 5.0])
def test_the_mask_is_where_the_picture_shows_the_hero(away):
    world = alone()
    world.style = replace(world.style, noise=0.0, blur=0.0)
    place(world.hero, away, 0.3, 2.0)
    with_hero, mask = world.render().astype(int), world.mask()
    world.hide_hero()
    without = world.render().astype(int)
    assert not world.mask().any()
    changed = np.abs(with_hero - without).max(axis=2) > 8
    hero = mask == THE_HERO
    assert hero.sum() > 60
    near_it = cv2.dilate(hero.astype(np.uint8), np.ones((3, 3), np.uint8)) > 0
    assert not (changed & ~near_it).any(), "nothing beside the mask shows the hero"
    assert (changed & hero).sum() > 0.95 * hero.sum(), "all of the mask does"


def test_whoever_is_nearer_hides_the_hero_in_picture_and_mask():
    world = PeopleWorld(3, Scene(others=1), mount=looking_up(160, 120))
    place(world.hero, 4.0, 0.0)
    place(world.people[1], 2.0, 1.9)
    assert (world.mask() == THE_HERO).sum() > 100
    place(world.people[1], 2.0, 0.0)
    mask = world.mask()
    assert (mask == THE_HERO).sum() < 100
    assert (mask == PERSON).sum() > 1000
    place(world.people[1], 5.0, 0.0)
    assert (world.mask() == THE_HERO).sum() > 100


def test_a_pillar_hides_the_hero_and_is_background():
    world = alone()
    place(world.hero, 4.0, 0.0)
    world.standing.append(Pillar(2.0, 0.0, 0.9, (200, 200, 200)))
    assert (world.mask() == BACKGROUND).all()


def test_the_hero_may_leave_and_come_back():
    world = PeopleWorld(1)
    there = (world.hero.x, world.hero.y)
    world.hide_hero()
    world.hide_hero()
    world.step(3.0)
    assert not world.hero_is_here
    assert not (world.mask() == THE_HERO).any()
    assert (world.hero.x, world.hero.y) == there
    world.show_hero()
    world.show_hero()
    world.step(3.0)
    assert world.standing.count(world.hero) == 1
    assert (world.hero.x, world.hero.y) != there


def test_nobody_else_wears_the_heros_orange():
    looks = [random_look(np.random.default_rng(seed)) for seed in range(300)]
    assert min(math.dist(look.top, HERO.top) for look in looks) >= 130
    assert len({look.top for look in looks}) > 250


def test_the_hero_stands_higher_in_the_picture_the_nearer_they_are():
    world, heights = alone(), []
    for away in (1.6, 2.0, 2.5, 3.0, 4.0, 6.0):
        place(world.hero, away, 0.0)
        rows = np.flatnonzero((world.mask() == THE_HERO).any(axis=1))
        heights.append(rows[-1] - rows[0] + 1)
    assert heights == sorted(heights, reverse=True)
    assert len(set(heights)) == len(heights)


def test_other_sizes_and_styles():
    world = PeopleWorld(5, Scene(difficulty=1.0), mount=looking_up(64, 48))
    assert world.render().shape == (48, 64, 3)
    assert world.mask().shape == (48, 64)


def test_a_map_shows_the_floor():
    world = PeopleWorld(2)
    line = [(0.1 * i, 0.0, 0.0) for i in range(20)]
    drawn = world_map(world, line, (0, 158, 115), (300, 200))
    assert drawn.shape == (200, 300, 3)
    assert (drawn == (0, 158, 115)).all(axis=2).sum() > 20
    assert (drawn == HERO.top).all(axis=2).sum() > 20
    assert (drawn == floor_map(world, line, (0, 158, 115), (300, 200))).all()
