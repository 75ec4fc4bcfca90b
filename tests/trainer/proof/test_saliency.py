import numpy as np

from trainer.proof.saliency import occlusion, overlay

H, W = 48, 64


def looks_at(top, left):
    """A network whose first class is how bright one corner of the frame is."""

    def scores(image):
        bright = image[top : top + 8, left : left + 8].mean() / 255
        return np.array([bright, 1 - bright], np.float32)

    return scores


def picture():
    image = np.full((H, W, 3), 20, np.uint8)
    image[10:18, 40:48] = 255
    return image


def test_what_the_answer_hangs_on_is_where_hiding_hurts():
    found = occlusion(looks_at(10, 40), picture())
    assert found.shape == (H, W)
    assert found.dtype == np.float32
    row, column = np.unravel_index(found.argmax(), found.shape)
    assert 8 <= row < 20
    assert 38 <= column < 50
    assert found[:, :24].max() == 0


def test_hiding_makes_another_class_likelier():
    found = occlusion(looks_at(10, 40), picture(), label=1)
    assert found.min() < -0.5
    assert found.max() <= 0


def test_every_pixel_is_hidden_even_where_patches_do_not_divide_the_frame():
    image = np.random.default_rng(0).integers(0, 255, (37, 53, 3), np.uint8)
    assert np.isfinite(occlusion(looks_at(0, 0), image)).all()


def test_the_overlay_colours_that_place_alone():
    image = picture()
    seen = overlay(image, occlusion(looks_at(10, 40), image))
    colour = np.ptp(seen.astype(int), axis=2)
    assert colour[10:18, 40:48].mean() > 60
    assert colour[:, :20].max() == 0
    faint = overlay(image, np.full((H, W), 0.01, np.float32), most=1.0)
    assert faint.astype(int).max() < 250
