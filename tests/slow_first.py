"""The order of the tests where several workers share them: slow ones begin first, and each worker with its own.

A worker gets a block of the list and gives up the end of it to one that has nothing left, but not the test after the one
that it is at. A slow test that begins late would be waited for by a machine that has nothing else to do.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import TypeVar

import pytest

T = TypeVar("T")


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Put the slow tests at the beginnings of the workers' blocks."""
    workers = int(getattr(config, "workerinput", {}).get("workercount", 1))
    if workers > 1:
        slow = [[item for item in items if item.get_closest_marker(name)] for name in ("daemon", "slow")]
        by_module: dict[str, list[pytest.Item]] = {}
        for item in slow[0]:
            by_module.setdefault(item.nodeid.partition("::")[0], []).append(item)
        items[:] = in_blocks(items, [*by_module.values(), slow[1]], workers)


def in_blocks(items: Sequence[T], groups: Sequence[Sequence[T]], workers: int) -> list[T]:
    """All items, so that of the workers' blocks each begins with one of the groups, or several.

    Args:
        items: All of them.
        groups: Items that begin first and stay together, as they share what is dear to set up; from these only, the last
            worker gets the last one.
        workers: How many blocks there are.
    """
    first: list[list[T]] = [[] for _ in range(workers)]
    for number, group in enumerate(groups):
        place = workers - 1 if number == len(groups) - 1 else number % max(workers - 1, 1)
        first[place] += group
    taken = {id(item) for group in groups for item in group}
    rest = iter([item for item in items if id(item) not in taken])
    ends = [0, *accumulate(_sizes(len(items), workers))]
    ordered: list[T] = []
    for number, begin in enumerate(first):
        ordered += begin
        while len(ordered) < ends[number + 1] and (item := next(rest, None)) is not None:
            ordered.append(item)
    return ordered


def _sizes(items: int, workers: int) -> list[int]:
    """As pytest-xdist cuts the list for `--dist worksteal`."""
    sizes = []
    for left in range(workers, 0, -1):
        sizes.append((items - sum(sizes)) // left)
    return sizes
