"""The order in which several workers take the tests."""

import pytest
from slow_first import in_blocks


@pytest.mark.parametrize("workers", [2, 3, 4])
@pytest.mark.parametrize("count", [12, 13, 100])
def test_each_worker_begins_with_slow_tests_and_none_is_lost(workers: int, count: int) -> None:
    names = [str(number) for number in range(count)]
    groups = [names[5:7], names[3:4], names[9:10], names[-2:]]
    ordered = in_blocks(names, groups, workers)
    assert sorted(ordered) == sorted(names)
    # The blocks as pytest-xdist cuts them.
    blocks, rest = [], list(ordered)
    for left in range(workers, 0, -1):
        blocks.append(rest[: len(rest) // left])
        rest = rest[len(rest) // left :]
    daemons = {name for group in groups[:-1] for name in group}
    assert all(block[0] in daemons for block in blocks[: min(workers, 4) - 1])
    assert blocks[-1][:2] == groups[-1]
    quick = [name for name in ordered if name not in {name for group in groups for name in group}]
    assert quick == sorted(quick, key=int)
    for group in groups:
        place = ordered.index(group[0])
        assert ordered[place : place + len(group)] == list(group)
