import numpy as np

from autcar.simulator.draw import frame_sheet, track_map
from autcar.simulator.score import Score
from autcar.simulator.track import Track
from autcar.simulator.world import World

GREEN = (30, 160, 80)
RED = np.array((214, 40, 40))


def test_a_sheet_shows_frames_along_the_track() -> None:
    sheet = frame_sheet(Track.generate(0), columns=2, rows=2)
    assert (sheet.shape, sheet.dtype) == ((336, 448, 3), np.uint8)
    assert sheet[:168, :224].tobytes() != sheet[168:, 224:].tobytes()


def _near(image: np.ndarray, colour: tuple[int, int, int] | np.ndarray) -> int:
    return int((np.abs(image.astype(int) - colour).max(axis=2) < 40).sum())


def test_a_map_shows_borders_lines_and_failures() -> None:
    track = Track.generate(0).with_stop_line(2.0)
    world = World(track)
    score = Score(world)
    kept = track_map(track, [(score.line, GREEN)], (400, 300))
    assert (kept.shape, kept.dtype) == ((300, 400, 3), np.uint8)
    assert _near(kept, track.style.left_colour) > 300
    assert _near(kept, track.style.right_colour) > 300
    assert _near(kept, track.style.bar_colour) > 10
    assert _near(kept, GREEN) == _near(kept, RED) == 0
    world.set_wheels(0.7, 0.7)
    for _ in range(100):
        world.step(0.05)
        score.update()
    left = track_map(track, [(score.line, GREEN)], (400, 300))
    assert _near(left, GREEN) > 50
    assert _near(left, RED) > 30
