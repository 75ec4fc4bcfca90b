"""An open floor where people walk about, and one of them, the hero, is to be followed."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from autcar.simulator.billboards import HERO, Look, Pose, Sprite, person, pillar, random_look
from autcar.simulator.mount import CameraMount
from autcar.simulator.moving_car import Car, MovingCar
from autcar.simulator.paint import paint_floor
from autcar.simulator.pedestrians import APART_M, TICK_S, Obstacle, Walker
from autcar.simulator.render import Image, Renderer
from autcar.simulator.style import Colour, Style

Mask = npt.NDArray[np.uint8]

LABELS = ("background", "people", "hero")
"""What a pixel of a mask may be; its value is the index."""

BACKGROUND, PERSON, THE_HERO = range(3)

REACH_M = 5.0
"""People walk this far from the middle of the floor."""

START_M = 2.4
"""The hero stands this far before the car at first."""

# Metres per second: the hero is somebody who shows a small car round, others walk faster.
_HERO_PACE, _OTHERS_PACE = (0.25, 0.42), (0.3, 0.7)
_BERTH_M = 0.8  # people keep their middle this far from the car's
_PILLAR_M = (0.3, 0.5)
_PILLAR_HEIGHT_M = 2.6


@dataclass(frozen=True)
class Scene:
    """How many people there are beside the hero, how many pillars, and how hard it is to see."""

    others: int = 6
    pillars: int = 0
    difficulty: float = 0.0


@dataclass(frozen=True, eq=False)
class Pillar:
    """A round pillar: metres, RGB."""

    x: float
    y: float
    width: float
    colour: Colour
    label: int = BACKGROUND

    def sprite(self, x: float, y: float) -> Sprite:
        """Its picture from ``x``, ``y``: the same from everywhere."""
        return pillar(_PILLAR_HEIGHT_M, self.width, self.colour)

    def draw(
        self, image: Image, mount: CameraMount, x: float, y: float, heading: float, light: float
    ) -> None:
        """Draw into ``image`` what a lens at ``x``, ``y`` looking along ``heading`` sees of it."""
        self.sprite(x, y).draw(image, mount, (x, y, heading), self.x, self.y, light)


class Person:
    """Somebody on the floor: a look and a walk. ``label`` is the class of their pixels."""

    def __init__(self, look: Look, walker: Walker, label: int) -> None:
        self.look, self.walker, self.label = look, walker, label

    @property
    def x(self) -> float:
        """Metres."""
        return self.walker.x

    @property
    def y(self) -> float:
        """Metres."""
        return self.walker.y

    def sprite(self, x: float, y: float) -> Sprite:
        """Their picture from ``x``, ``y``."""
        walker = self.walker
        seen_from = walker.heading - math.atan2(y - self.y, x - self.x)
        return person(self.look, seen_from, walker.stride)

    def draw(
        self, image: Image, mount: CameraMount, x: float, y: float, heading: float, light: float
    ) -> None:
        """Draw into ``image`` what a lens at ``x``, ``y`` looking along ``heading`` sees."""
        self.sprite(x, y).draw(image, mount, (x, y, heading), self.x, self.y, light)


class PeopleWorld(MovingCar):
    """A car on an open floor among people: same seed and same driving, same walk.

    ``people`` are all, the hero first. ``standing`` is what is on the floor now, people
    and pillars; a hero who has left is not among them.
    """

    def __init__(
        self,
        seed: int,
        scene: Scene | None = None,
        *,
        car: Car | None = None,
        mount: CameraMount | None = None,
        disturbance: float = 0.0,
    ) -> None:
        super().__init__(
            car=car, mount=mount or looking_up(128, 96), seed=seed, disturbance=disturbance
        )
        self.seed = seed
        scene = scene or Scene()
        places, looks, walks = (
            np.random.default_rng(part) for part in np.random.SeedSequence(seed).spawn(3)
        )
        self.style = Style.random(looks, scene.difficulty)
        taken = [(0.0, 0.0), (START_M, 0.0)]
        self.pillars = [
            Pillar(
                *_free_place(places, taken, 1.3),
                width=float(places.uniform(*_PILLAR_M)),
                colour=self.style.wall_colour,
            )
            for _ in range(scene.pillars)
        ]
        spots = [(START_M, 0.0), *(_free_place(places, taken, 1.0) for _ in range(scene.others))]
        self.people = [
            Person(
                HERO if number == 0 else random_look(looks),
                Walker(
                    np.random.default_rng(int(walks.integers(1 << 62))),
                    spot,
                    REACH_M,
                    _HERO_PACE if number == 0 else _OTHERS_PACE,
                ),
                THE_HERO if number == 0 else PERSON,
            )
            for number, spot in enumerate(spots)
        ]
        self.standing: list[Person | Pillar] = [*self.pillars, *self.people]
        self._walked_ns = 0

    @property
    def hero(self) -> Person:
        """The one to follow."""
        return self.people[0]

    @property
    def hero_is_here(self) -> bool:
        """Whether the hero is on the floor."""
        return self.hero in self.standing

    @property
    def hero_distance(self) -> float:
        """Metres over the floor from the middle of the car to the hero's."""
        return math.hypot(self.hero.x - self.x, self.hero.y - self.y)

    def hide_hero(self) -> None:
        """Take the hero off the floor, as through a door."""
        if self.hero_is_here:
            self.standing.remove(self.hero)

    def show_hero(self) -> None:
        """Let the hero come back to where they left."""
        if not self.hero_is_here:
            self.standing.append(self.hero)

    def step(self, dt_s: float) -> None:
        """Advance car and people by ``dt_s`` seconds."""
        super().step(dt_s)
        while self._walked_ns + TICK_S * 1e9 <= self.time_ns:
            self._walked_ns += round(TICK_S * 1e9)
            self._walk()

    def mask(self) -> Mask:
        """The class of each pixel of :meth:`render`, exactly: H×W ``uint8``."""
        mask = np.zeros((self.mount.height, self.mount.width), np.uint8)
        x, y = self.point(self.mount.ahead_m)
        lens: Pose = (x, y, self.heading)
        for one in sorted(self.standing, key=lambda o: -math.hypot(o.x - x, o.y - y)):
            one.sprite(x, y).cover(mask, self.mount, lens, one.x, one.y, one.label)
        return mask

    def paint(self) -> Renderer:
        """The floor and the room, painted, and whoever stands there."""
        painting = paint_floor(self.style, 2 * REACH_M)
        return Renderer(painting, self.mount, self.style, self.standing)

    def _walk(self) -> None:
        walkers = [one.walker for one in self.standing if isinstance(one, Person)]
        obstacles = [Obstacle(p.x, p.y, p.width / 2) for p in self.pillars]
        obstacles.append(Obstacle(self.x, self.y, _BERTH_M - APART_M / 2))
        for walker in walkers:
            walker.step(walkers, obstacles)


def looking_up(width: int, height: int, pitch_deg: float = 15.0) -> CameraMount:
    """A camera on the car that looks up at people."""
    return replace(CameraMount(width=width, height=height), pitch_deg=-pitch_deg)


def _free_place(
    rng: np.random.Generator, taken: list[tuple[float, float]], apart_m: float
) -> tuple[float, float]:
    """A place on the floor ``apart_m`` away from those taken, which it joins."""
    while True:
        angle, away = rng.uniform(0, math.tau), REACH_M * math.sqrt(rng.random())
        place = (float(away * math.cos(angle)), float(away * math.sin(angle)))
        if all(math.dist(place, other) >= apart_m for other in taken):
            taken.append(place)
            return place
