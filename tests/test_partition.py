"""Cuts of layers into stages: the solvers against every cut there is, and sizes of layers against what is measured."""

from __future__ import annotations

from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from dagc.passes.partition import Load, balanced, fastest, fewest

SIZES = st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), min_size=1, max_size=7)


def load(sizes: list[tuple[int, int]], once: int = 0) -> Load:
    return Load(np.array([a for a, _ in sizes]), np.array([b for _, b in sizes]), once)


def cost(sizes: list[tuple[int, int]], start: int, end: int) -> int:
    return sum(a for a, _ in sizes[start:end]) + max(b for _, b in sizes[start:end])


def cuts(layers: int, stages: int) -> list[list[tuple[int, int]]]:
    """Every contiguous cut, as spans."""
    inner = combinations(range(1, layers), stages - 1)
    return [list(zip((0, *ends), (*ends, layers), strict=True)) for ends in inner]


@given(SIZES, st.integers(0, 120))
def test_fewest_is_the_least_number_of_stages_that_fit(sizes: list[tuple[int, int]], capacity: int) -> None:
    found = fewest(load(sizes), capacity)
    fitting = [
        stages
        for stages in range(1, len(sizes) + 1)
        if any(all(cost(sizes, *span) <= capacity for span in cut) for cut in cuts(len(sizes), stages))
    ]
    assert (found and len(found)) == (min(fitting) if fitting else None)
    if found:
        assert sum(found) == len(sizes)
        assert max(load(sizes).stages(found)) <= capacity


@given(SIZES, st.integers(1, 7), st.integers(1, 120))
def test_balanced_is_the_least_largest_stage(sizes: list[tuple[int, int]], stages: int, capacity: int) -> None:
    found = balanced(load(sizes), [capacity] * stages)
    largest = [max(cost(sizes, *span) for span in cut) for cut in cuts(len(sizes), stages)]
    if not largest or min(largest) > capacity:
        assert found is None
        return
    assert found is not None
    assert (len(found), sum(found)) == (stages, len(sizes))
    assert min(found) > 0
    assert max(load(sizes).stages(found)) == min(largest)


@given(SIZES, st.lists(st.tuples(st.integers(1, 4), st.integers(0, 120)), min_size=1, max_size=4))
def test_fastest_is_the_least_slowest_stage(sizes: list[tuple[int, int]], gpus: list[tuple[int, int]]) -> None:
    work = load([(a, 0) for a, _ in sizes])
    found = fastest(work, [speed for speed, _ in gpus], load(sizes), [memory for _, memory in gpus])
    times = [
        max(sum(a for a, _ in sizes[slice(*span)]) / speed for span, (speed, _) in zip(cut, gpus, strict=True))
        for cut in cuts(len(sizes), len(gpus))
        if all(cost(sizes, *span) <= memory for span, (_, memory) in zip(cut, gpus, strict=True))
    ]
    assert (found is None) == (not times)
    if found is not None:
        ours = [taken / speed for taken, (speed, _) in zip(work.stages(found), gpus, strict=True)]
        assert max(ours) == min(times)
        used = zip(load(sizes).stages(found), gpus, strict=True)
        assert all(taken <= memory for taken, (_, memory) in used)


def test_equal_layers_are_dealt_out_evenly_the_longer_stages_first() -> None:
    assert balanced(load([(5, 1)] * 94), [900] * 4) == [24, 24, 23, 23]
    assert fewest(load([(268, 0)] * 32), 900) == [3] * 10 + [2]
    assert balanced(load([(268, 0)] * 32), [900] * 16) == [2] * 16
    assert fastest(load([(1, 0)] * 12), [2, 1], load([(1, 0)] * 12), [9, 9]) == [8, 4]


def test_what_both_ends_share_counts_once_in_one_stage() -> None:
    tied = load([(7, 0), (2, 0), (7, 0)], once=5)
    assert (tied.stages([3]), tied.stages([2, 1])) == ([11], [9, 7])
    assert fewest(tied, 11) == [3]
