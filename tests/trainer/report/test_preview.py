import cv2
import numpy as np
import pytest

from autcar.cli import main
from autcar.images import read_image, write_png
from trainer.data.augmentation import KINDS


@pytest.fixture(autouse=True)
def no_sync(monkeypatch):
    monkeypatch.setattr("os.sync", lambda: None)


def test_a_picture_shows_each_kind_and_all_together(make_session, tmp_path, capsys):
    folder = make_session(frames=48)
    output = tmp_path / "pictures" / "kinds.png"
    assert main(["data", "augment-preview", str(folder), "--output", str(output)]) == 0
    assert f"{output}: what --augment default does" in capsys.readouterr().out
    sheet = read_image(output)
    # A row of frames for each kind, one as recorded and one for all: white between them.
    filled = cv2.cvtColor(sheet, cv2.COLOR_RGB2GRAY)[:, -80:-20].min(axis=1) < 170
    assert np.count_nonzero(np.diff(filled.astype(int)) == 1) == len(KINDS) + 2
    light = tmp_path / "light.png"
    main(["data", "augment-preview", str(folder), "--output", str(light), "--augment", "light"])
    assert read_image(light).mean() != sheet.mean()
    assert main(["data", "augment-preview", str(folder), "--augment", "wild"]) == 2
    assert "'wild' is not known" in capsys.readouterr().err


def test_masks_are_laid_over_their_images(tmp_path):
    for number in range(3):
        image = np.full((30, 40, 3), 128, np.uint8)
        mask = np.full_like(image, (255, 0, 0))
        mask[10:20, 15:25] = (0, 0, 255)
        write_png(tmp_path / "f" / "images" / f"{number}.png", image)
        write_png(tmp_path / "f" / "masks" / f"{number}.png", mask)
    output = tmp_path / "kinds.png"
    words = ["--augment", "follow", "--columns", "2", "--output", str(output)]
    assert main(["data", "augment-preview", str(tmp_path / "f"), *words]) == 0
    sheet = read_image(output).astype(int)
    blue = (sheet[..., 2] - sheet[..., 0]) > 100
    assert blue.mean() > 0.02
