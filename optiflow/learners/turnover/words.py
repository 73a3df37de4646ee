"""TF-IDF of descriptions in plain JSON: the words that training knows, and how rare each is.

What belongs here: text to numbers. What does not: the other columns (`features`).
"""

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

_WORD = re.compile(r"\w\w+")


@dataclass(frozen=True)
class Vocabulary:
    """The known words in the order of their columns, and the inverse document frequency of each."""

    words: tuple[str, ...]
    idf: tuple[float, ...]

    @classmethod
    def fit(cls, texts: Sequence[str | None], *, max_terms: int, min_items: int) -> "Vocabulary":
        """Keep the `max_terms` words that most texts hold, of those in `min_items` texts or more but not in all.

        idf = ln((1 + texts) / (1 + texts with the word)) + 1, as scikit-learn's `TfidfVectorizer` smooths it.
        """
        found = Counter(word for text in texts for word in set(tokens(text)))
        total = sum(text is not None for text in texts)
        usual = [(word, count) for word, count in found.items() if min_items <= count < total]
        kept = sorted(sorted(usual, key=lambda item: (-item[1], item[0]))[:max_terms])
        return cls(tuple(word for word, _ in kept), tuple(math.log((1 + total) / (1 + n)) + 1 for _, n in kept))

    def transform(self, texts: Sequence[str | None]) -> "np.ndarray":
        """TF-IDF, each row of length 1 or all 0: texts x words, float32."""
        import numpy as np

        column = {word: index for index, word in enumerate(self.words)}
        matrix = np.zeros((len(texts), len(self.words)), dtype=np.float32)
        for row, text in enumerate(texts):
            for word in tokens(text):
                if (index := column.get(word)) is not None:
                    matrix[row, index] += self.idf[index]
        length = np.sqrt((matrix * matrix).sum(axis=1, keepdims=True))
        return np.divide(matrix, length, out=matrix, where=length > 0)


def tokens(text: str | None) -> list[str]:
    """The words of a text in lower case: two or more letters or digits in a row."""
    return _WORD.findall(text.casefold()) if text else []
