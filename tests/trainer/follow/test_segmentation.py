import numpy as np
import pytest

from trainer.follow.segmentation import Tally, subset_of, subset_of_folder, table

CLASSES = ("background", "people", "hero")
SIZE = 40


def mask(hero=0, people=0):
    """``hero`` pixels from the beginning, ``people`` from the end."""
    pixels = np.zeros(SIZE * SIZE, np.uint8)
    pixels[:hero] = 2
    if people:
        pixels[-people:] = 1
    return pixels.reshape(SIZE, SIZE)


def sure(answer):
    return np.eye(3, dtype=np.float32)[answer]


def scored(*pairs, subset=None):
    tally = Tally(CLASSES)
    for truth, answer in pairs:
        tally.add(truth, sure(answer), subset)
    return tally.result()


def test_a_perfect_answer_scores_one():
    found = scored(*((truth, truth) for truth in (mask(400, 50), mask(10, 50), mask(0, 50))))
    assert [found.subsets[name].images for name in ("close", "none", "far")] == [1, 1, 1]
    assert found.weight == found.hero_iou == found.score == 1
    assert found.whole.iou["people"] == 1


def test_score_is_mean_iou_close_and_far_times_images_right():
    found = scored(
        (mask(400), mask(200)),  # close: IoU 0.5, found
        (mask(10), mask(0)),  # far: IoU 0, missed
        (mask(0), mask(20)),  # a false alarm
        (mask(0), mask(3)),  # three pixels are none
    )
    assert found.subsets["close"].hero_iou == 0.5
    assert found.subsets["far"].hero_iou == 0
    counts = found.whole
    judged = counts.true_positives, counts.false_positives, counts.false_negatives
    assert judged == (1, 1, 1)
    assert found.score == pytest.approx(0.25 / 3)
    assert "score 0.083" in table(found)


def test_as_in_the_project_the_iou_is_a_mean_over_images_and_0_where_both_are_empty():
    found = scored((mask(400), mask(400)), (mask(2), mask(0)), (mask(0), mask(0)), subset="close")
    assert found.subsets["close"].hero_iou == pytest.approx(1 / 3)
    assert found.weight == 1
    assert found.whole.iou["background"] == pytest.approx((1 + 1598 / 1600 + 1) / 3)


def test_a_pixel_is_of_a_class_only_with_more_than_half_of_the_probability():
    tally = Tally(CLASSES)
    tally.add(mask(400), np.full((SIZE, SIZE, 3), (0.2, 0.3, 0.5), np.float32))
    tally.add(mask(400), np.full((SIZE, SIZE, 3), (0.2, 0.29, 0.51), np.float32))
    found = tally.result()
    assert found.whole.true_positives == 1
    assert found.whole.false_negatives == 1
    assert found.hero_iou == pytest.approx(400 / 1600 / 2)


def test_a_set_without_the_hero_has_figures_but_no_score():
    found = scored((mask(0, 30), mask(0, 30)))
    assert found.score == found.weight == found.hero_iou == 0
    assert "TP" in table(found)
    assert found.as_dict()["subsets"]["none"]["images"] == 1


def test_the_hero_is_close_from_a_hundredth_of_the_image_on():
    assert subset_of(mask(3), 2) == "none"
    assert subset_of(mask(4), 2) == subset_of(mask(15), 2) == "far"
    assert subset_of(mask(16), 2) == "close"


@pytest.mark.parametrize(
    ("folder", "subset"),
    [
        ("following_images", "close"),
        ("patrol_non_targ", "none"),
        ("patrol_with_targ", "far"),
        ("validation", None),
    ],
)
def test_the_projects_folders_name_their_subset(folder, subset):
    assert subset_of_folder(folder) == subset
