import numpy as np
import pytest

from autcar import images
from autcar.errors import DataError, DataNotFoundError
from tests.conftest import picture


@pytest.fixture(params=["simplejpeg", "OpenCV"])
def codec(request, monkeypatch):
    """Both ways to read a JPEG must agree, and complain alike."""
    if request.param == "OpenCV":
        monkeypatch.setattr(images, "simplejpeg", None)
    return request.param


def test_red_stays_red(codec):
    red = np.zeros((48, 64, 3), np.uint8)
    red[..., 0] = 220
    back = images.decode_image(images.encode_jpeg(red, 95))
    assert back.shape == (48, 64, 3)
    assert back.dtype == np.uint8
    assert abs(back.astype(int) - red).max() < 6


def test_png_is_exact(tmp_path):
    path = tmp_path / "new" / "picture.png"
    images.write_png(path, picture(3))
    assert (images.read_image(path) == picture(3)).all()
    assert [entry.name for entry in path.parent.iterdir()] == ["picture.png"]


def test_zero_byte_truncated_and_no_image(codec, tmp_path):
    whole = images.encode_jpeg(picture(0))
    for content, says in (
        (b"", "is empty"),
        (whole[: len(whole) // 2], "damaged|truncated"),
        (b"no image at all", "not a whole JPEG or PNG"),
    ):
        path = tmp_path / "frame.jpg"
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"frame\.jpg.*({says}).*record it again"):
            images.read_image(path)


def test_an_image_that_is_gone(tmp_path):
    with pytest.raises(DataNotFoundError, match="is not there"):
        images.read_image(tmp_path / "gone.jpg")
