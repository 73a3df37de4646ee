"""Harrell's C: how often of two items the one is foretold to sell first that does.

What belongs here: counting all pairs of n items in n log n steps, numpy only. What does not: which items are compared.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np


def concordance(days: "np.ndarray", sold: "np.ndarray", expected: "np.ndarray") -> float | None:
    """Harrell's C: of the pairs whose order is known, the share that `expected` puts in the right order; ties count half.

    Of two items one sold, and the other later, or not by the same day. Unlike errors on sold items it uses the censored
    ones too. Every pair is counted, in steps of n log n. None without such a pair.

    Source: Harrell, Lee and Mark, "Multivariable prognostic models", Statistics in Medicine 15 (1996).

    Args:
        days: Until the sale, or until watching ended; n numbers.
        sold: Which of the two it is.
        expected: The more, the later the sale is foretold.
    """
    import numpy as np

    # On equal days the end of watching comes after sales, so that "takes longer for all that is known" is "comes later".
    moment = 2 * np.unique(days, return_inverse=True)[1] + ~sold
    ranks = np.unique(expected, return_inverse=True)[1]
    order = np.argsort(moment, kind="stable")
    after = np.searchsorted(moment[order], moment[sold], side="right")
    pairs = int((len(days) - after).sum())
    if not pairs:
        return None
    greater, equal = _counts_after(ranks[order], after, ranks[sold])
    return float((greater.sum() + equal.sum() / 2) / pairs)


def _counts_after(ranks: "np.ndarray", first: "np.ndarray", asked: "np.ndarray") -> "tuple[np.ndarray, np.ndarray]":
    """How many of `ranks[first:]` are greater than `asked`, and how many equal it, for each of m questions.

    A wavelet matrix: rank by rank's bits, from the highest on, those with a 0 are put before those with a 1. What agrees
    with `asked` so far stays one stretch, and of it those are greater that have a 1 where `asked` has a 0.
    Source: Claude, Navarro and Ordóñez, "The wavelet matrix", Information Systems 47 (2015).

    Args:
        ranks: n integers from 0 on.
        first: m positions, 0 to n.
        asked: m integers.
    """
    import numpy as np

    low, high = first.copy(), np.full_like(first, len(ranks))
    greater = np.zeros_like(first)
    for bit in reversed(range(int(ranks.max()).bit_length())):
        is_one = (ranks >> bit & 1).astype(bool)
        ones = np.r_[0, np.cumsum(is_one)]
        asks_one = (asked >> bit & 1).astype(bool)
        greater += np.where(asks_one, 0, ones[high] - ones[low])
        zeros = len(ranks) - ones[-1]
        low, high = (np.where(asks_one, zeros + ones[end], end - ones[end]) for end in (low, high))
        ranks = np.r_[ranks[~is_one], ranks[is_one]]
    return greater, high - low
