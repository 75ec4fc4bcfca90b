import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autcar.errors import DataError
from trainer.data.dataset import Dataset
from trainer.data.split import Split, split_by_group, split_by_time

SECOND = 1_000_000_000


def dataset_of_runs(*runs, fps=20):
    """A dataset without images: each run is the classes of its frames, ``fps`` a second."""
    lengths = [len(run) for run in runs]
    return Dataset(
        paths=[f"run{r}/{i}.jpg" for r, length in enumerate(lengths) for i in range(length)],
        labels=np.concatenate([np.array(run, np.int16) for run in runs]),
        times_ns=np.concatenate([np.arange(n, dtype=np.int64) * (SECOND // fps) for n in lengths]),
        groups=np.repeat(np.arange(len(runs)), lengths).astype(np.int32),
        group_names=tuple(f"run{r}" for r in range(len(runs))),
        group_roots=tuple(f"run{r}" for r in range(len(runs))),
        sources=np.zeros(sum(lengths), np.uint8),
    )


def stretches(classes, each=25):
    return [label for label in classes for _ in range(each)]


def check_parts(dataset: Dataset, split: Split, gap_s: float) -> None:
    """No frame is in two parts, and frames of two parts are over ``gap_s`` apart."""
    parts = (split.train, split.validation, split.test)
    together = np.concatenate(parts)
    assert len(np.unique(together)) == len(together)
    assert all(part.dtype == np.int64 and (np.diff(part) > 0).all() for part in parts)
    for one, other in ((0, 1), (0, 2), (1, 2)):
        for group in np.unique(dataset.groups):
            times = [
                dataset.times_ns[part[dataset.groups[part] == group]]
                for part in (parts[one], parts[other])
            ]
            if len(times[0]) and len(times[1]):
                apart = np.abs(times[0][:, None] - times[1][None]).min()
                assert apart > gap_s * SECOND


runs = st.lists(
    st.lists(st.tuples(st.integers(0, 11), st.integers(0, 2000)), min_size=1, max_size=60),
    min_size=1,
    max_size=4,
)


@settings(max_examples=150, deadline=None)
@given(
    runs=runs,
    seed=st.integers(0, 5),
    gap_s=st.sampled_from([0.0, 0.3, 1.0]),
    order=st.sampled_from(["blocks", "last"]),
    block_s=st.sampled_from([None, 0.5, 3.0]),
    data=st.data(),
)
def test_parts_are_disjoint_apart_and_the_same_by_seed(runs, seed, gap_s, order, block_s, data):
    dataset = dataset_of_runs(*([label for label, _ in run] for run in runs))
    steps = [np.cumsum([step for _, step in run]) for run in runs]
    times = np.concatenate(steps).astype(np.int64) * 1_000_000
    dataset = dataclasses.replace(dataset, times_ns=times)
    if data.draw(st.booleans(), "rows in any order"):
        dataset = dataset.subset(np.random.default_rng(0).permutation(len(dataset)))

    def split():
        return split_by_time(dataset, gap_s=gap_s, block_s=block_s, order=order, seed=seed)

    try:
        found = split()
    except DataError:
        return  # So short, or so wide a gap, that nothing is left to train on.
    check_parts(dataset, found, gap_s)
    again = split()
    for part in ("train", "validation", "test"):
        np.testing.assert_array_equal(getattr(found, part), getattr(again, part))


def test_parts_are_about_as_large_as_asked():
    dataset = dataset_of_runs(*([i % 12 for i in range(4000)] for _ in range(3)))
    split = split_by_time(dataset, validation=0.2, test=0.1)
    assert len(split.validation) == pytest.approx(0.2 * len(dataset), rel=0.15)
    assert len(split.test) == pytest.approx(0.1 * len(dataset), rel=0.15)
    assert len(split.train) > 0.6 * len(dataset)
    assert "closer than 1 s to another part" in split.notes[0]


def test_every_class_with_enough_data_is_in_every_part():
    labels = [6] * 6000
    for start in (500, 2500, 4500):
        labels[start : start + 30] = [11] * 30
    dataset = dataset_of_runs(labels)
    for seed in range(20):
        split = split_by_time(dataset, seed=seed)
        for part in (split.train, split.validation, split.test):
            assert set(dataset.labels[part]) == {6, 11}, seed


def test_what_a_part_lacks_is_said():
    labels = [6] * 6000
    labels[500:510] = [11] * 10
    split = split_by_time(dataset_of_runs(labels))
    assert "the test part has no frame of stop" in split.notes
    assert "the validation part has no frame of stop" in split.notes


def test_another_seed_draws_other_blocks():
    dataset = dataset_of_runs(stretches(range(12)) * 10)
    parts = {tuple(split_by_time(dataset, seed=seed).test.tolist()) for seed in range(5)}
    assert len(parts) == 5


def test_last_tests_on_the_last_frames():
    dataset = dataset_of_runs(stretches(range(12)), stretches(range(12)) * 4)
    split = split_by_time(dataset, order="last")
    count = round(0.15 * len(dataset))
    assert split.test.tolist() == list(range(len(dataset) - count, len(dataset)))
    assert split.train.max() < split.test.min() - 20
    assert len(split.validation) == pytest.approx(0.15 * len(dataset), rel=0.4)
    check_parts(dataset, split, 1.0)


def test_a_share_of_nothing_is_an_empty_part():
    dataset = dataset_of_runs(stretches(range(12)) * 5)
    split = split_by_time(dataset, validation=0.0, test=0.3)
    assert len(split.validation) == 0
    assert len(split.test) > 0
    everything = split_by_time(dataset, validation=0.0, test=0.0)
    assert len(everything.train) == len(dataset)
    assert everything.notes == []


def test_whole_groups_are_split():
    dataset = dataset_of_runs(*(stretches(range(12), 5) for _ in range(10)))
    split = split_by_group(dataset, seed=3)
    parts = [set(dataset.groups[part]) for part in (split.train, split.validation, split.test)]
    assert sum(map(len, parts)) == 10
    assert all(parts)
    assert set.union(*parts) == set(range(10))
    with pytest.raises(DataError, match="2 recordings cannot make 3 parts"):
        split_by_group(dataset.subset(np.flatnonzero(dataset.groups < 2)))


def test_what_cannot_be_split_says_why():
    dataset = dataset_of_runs([0, 1] * 5)
    with pytest.raises(DataError, match=r"gaps of 5 s leaves nothing to train on; record more"):
        split_by_time(dataset, gap_s=5.0)
    with pytest.raises(DataError, match="leave something to train on"):
        split_by_time(dataset, validation=0.5, test=0.5)
    with pytest.raises(DataError, match="use 'blocks' or 'last'"):
        split_by_time(dataset, order="first")
