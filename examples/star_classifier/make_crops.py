"""Crops of a game's star counter, as the recordings of different players show it.

    python examples/star_classifier/make_crops.py FOLDER [--players 24] [--each 2] [--seed 0]

FOLDER/CLASS/PLAYER/NUMBER.png or .jpg, 40 high and 67 wide: classes 0…120 are the number
of stars, 121 is a black screen, 122 a white one. A player has a font, a size, colours, a
background and a compression of his own, so whoever learns the players by heart fails on
the next one.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

HEIGHT, WIDTH = 40, 67
STARS = 120
BLACK, WHITE = STARS + 1, STARS + 2
FONTS = (
    cv2.FONT_HERSHEY_SIMPLEX,
    cv2.FONT_HERSHEY_DUPLEX,
    cv2.FONT_HERSHEY_COMPLEX,
    cv2.FONT_HERSHEY_TRIPLEX,
    cv2.FONT_HERSHEY_COMPLEX_SMALL,
)
_SCALE = 4


@dataclass(frozen=True)
class Player:
    """How one player's recordings look. Colours are RGB, ``quality`` is JPEG's or None for PNG."""

    font: int
    height: float
    weight: int
    ink: tuple[int, ...]
    edge: tuple[int, ...] | None
    star: tuple[int, ...]
    ground: tuple[int, ...]
    slope: tuple[int, ...]
    offset: tuple[float, float]
    blur: float
    noise: float
    quality: int | None

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Player:
        """Someone new."""
        bright = tuple(rng.integers(190, 256, 3).tolist())
        dark = tuple(rng.integers(0, 70, 3).tolist())
        ground = rng.integers(20, 170, 3)
        quality = int(rng.integers(35, 90)) if rng.random() < 0.6 else None
        return cls(
            font=FONTS[int(rng.integers(len(FONTS)))],
            height=float(rng.uniform(13, 17)),
            weight=int(rng.integers(2, 4)),
            ink=bright,
            edge=dark,
            star=(255, int(rng.integers(180, 230)), int(rng.integers(0, 80))),
            ground=tuple(ground.tolist()),
            slope=tuple((ground + rng.integers(-40, 41, 3)).clip(0, 200).tolist()),
            offset=(float(rng.uniform(-2, 2)), float(rng.uniform(-3, 3))),
            blur=float(rng.uniform(0, 0.7)),
            noise=float(rng.uniform(0, 7)),
            quality=quality,
        )


def crop(player: Player, stars: int, rng: np.random.Generator) -> np.ndarray:
    """One 40×67×3 RGB crop of a player's counter, or of a black or white screen."""
    if stars == BLACK:
        level = rng.uniform(0, 12)
        return _noisy(np.full((HEIGHT, WIDTH, 3), level, np.float32), player, rng)
    if stars == WHITE:
        level = rng.uniform(243, 255)
        return _noisy(np.full((HEIGHT, WIDTH, 3), level, np.float32), player, rng)
    canvas = _ground(player, rng)
    right, down = np.array(player.offset) + rng.uniform(-1, 1, 2)
    middle = HEIGHT / 2 + down
    _star(canvas, (9 + right, middle), 7.5, player)
    _text(canvas, str(stars), (17 + right, middle), player)
    image = cv2.resize(canvas, (WIDTH, HEIGHT), interpolation=cv2.INTER_AREA)
    if player.blur > 0.2:
        image = cv2.GaussianBlur(image, (0, 0), player.blur)
    return _noisy(image.astype(np.float32), player, rng)


def _ground(player: Player, rng: np.random.Generator) -> np.ndarray:
    """The game behind the counter: a slope of two colours, and a thing or two moving by."""
    share = np.linspace(0, 1, _SCALE * HEIGHT)[:, None, None]
    canvas = (1 - share) * np.array(player.ground) + share * np.array(player.slope)
    canvas = np.repeat(canvas, _SCALE * WIDTH, axis=1).astype(np.uint8)
    for _ in range(int(rng.integers(0, 3))):
        center = (rng.random(2) * (_SCALE * WIDTH, _SCALE * HEIGHT)).astype(int).tolist()
        color = (np.array(player.ground) + rng.integers(-45, 46, 3)).clip(0, 190).tolist()
        cv2.circle(canvas, center, int(rng.integers(20, 70)), color, cv2.FILLED, cv2.LINE_AA)
    return canvas


def _star(canvas: np.ndarray, center: tuple[float, float], radius: float, player: Player) -> None:
    angles = np.arange(10) * np.pi / 5 - np.pi / 2
    radii = np.where(np.arange(10) % 2, 0.45, 1.0) * radius
    points = np.stack([np.cos(angles) * radii, np.sin(angles) * radii], 1) + center
    outline = [np.round(points * _SCALE).astype(np.int32)]
    cv2.fillPoly(canvas, outline, player.star, cv2.LINE_AA)
    if player.edge:
        cv2.polylines(canvas, outline, True, player.edge, _SCALE, cv2.LINE_AA)


def _text(canvas: np.ndarray, text: str, left: tuple[float, float], player: Player) -> None:
    """``text`` in the player's font, as high as he has it, narrowed where there is no room."""
    (width, height), _ = cv2.getTextSize(text, player.font, 1.0, 1)
    scale = player.height * _SCALE / height
    room = (WIDTH - left[0] - 2) * _SCALE
    scale = min(scale, room / width)
    spot = (round(left[0] * _SCALE), round(left[1] * _SCALE + scale * height / 2))
    thick = player.weight * _SCALE // 2
    if player.edge:
        cv2.putText(
            canvas, text, spot, player.font, scale, player.edge, thick + 2 * _SCALE, cv2.LINE_AA
        )
    cv2.putText(canvas, text, spot, player.font, scale, player.ink, thick, cv2.LINE_AA)


def _noisy(image: np.ndarray, player: Player, rng: np.random.Generator) -> np.ndarray:
    noise = rng.normal(0, player.noise, image.shape)
    return np.asarray((image + noise).clip(0, 255), np.uint8)


def make(folder: Path, *, players: int, each: int, seed: int) -> int:
    """Write the crops; returns how many there are."""
    rng = np.random.default_rng(seed)
    written = 0
    for number in range(players):
        player = Player.draw(rng)
        for stars in range(WHITE + 1):
            place = folder / str(stars) / f"player{number:02d}"
            place.mkdir(parents=True, exist_ok=True)
            for index in range(each):
                image = crop(player, stars, rng)[..., ::-1]
                if player.quality is None:
                    cv2.imwrite(str(place / f"{index}.png"), image)
                else:
                    options = [cv2.IMWRITE_JPEG_QUALITY, player.quality]
                    cv2.imwrite(str(place / f"{index}.jpg"), image, options)
                written += 1
    return written


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n")[0])
    parser.add_argument("folder", type=Path, help="where the class folders go")
    parser.add_argument("--players", type=int, default=24, help="(24)")
    parser.add_argument("--each", type=int, default=2, help="crops of each class a player (2)")
    parser.add_argument("--seed", type=int, default=0, help="the same gives the same crops (0)")
    arguments = parser.parse_args()
    if arguments.folder.exists() and any(arguments.folder.iterdir()):
        sys.exit(f"{arguments.folder} is not empty; name a new folder")
    count = make(
        arguments.folder, players=arguments.players, each=arguments.each, seed=arguments.seed
    )
    print(f"{count:,} crops of {WHITE + 1} classes by {arguments.players} players")


if __name__ == "__main__":
    main()
