import cv2
import pytest

from autcar.cli import main
from edge.film import FRAMES_A_SECOND


@pytest.mark.skipif(not hasattr(cv2, "imreadanimation"), reason="OpenCV before 4.11")
def test_a_drive_is_filmed_beside_what_the_car_sees(tmp_path, capsys):
    path = tmp_path / "films" / "drive.webp"
    assert (
        main(["drive", "--pilot", "expert", "--fast", "--seconds", "2", "--film", str(path)]) == 0
    )
    assert f"film of 2 s: {path}" in capsys.readouterr().out
    assert [file.name for file in path.parent.iterdir()] == ["drive.webp"]
    read, animation = cv2.imreadanimation(str(path))
    assert read
    assert len(animation.frames) == 2 * FRAMES_A_SECOND
    assert {int(ms) for ms in animation.durations} == {1000 // FRAMES_A_SECOND}
    first, last = animation.frames[0], animation.frames[-1]
    map_changed, view_changed = (
        abs(first[:270, part].astype(int) - last[:270, part]).mean()
        for part in (slice(0, 360), slice(360, 720))
    )
    assert view_changed > map_changed > 0


def test_a_film_has_a_name_that_says_so(tmp_path, capsys):
    assert main(["drive", "--fast", "--seconds", "1", "--film", str(tmp_path / "drive.gif")]) == 2
    assert "expected a name that ends in .webp" in capsys.readouterr().err
