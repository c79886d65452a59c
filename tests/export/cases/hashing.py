"""Texts and integers in buckets."""

import numpy as np

from keydnn.modules import Hash, HashedCross
from tests.export.case import INT, TEXT, Case

TEXTS = np.array([["a", "größe"], ["", "[UNK]"], ["日本", "a b"]], object)
INTS = np.array([[5, -3], [10**12, 0], [7, 7]])

CASES = {
    "texts": Case(Hash(7), (TEXTS,), TEXT),
    "texts, mask": Case(Hash(7, ""), (TEXTS,), TEXT),
    "texts, salt": Case(Hash(7, salt=(3, 4)), (TEXTS,), TEXT),
    "integers": Case(Hash(5), (INTS,), INT),
    "integers, mask, salt": Case(Hash(5, 0, 9), (INTS,), INT),
    "crossed texts": Case(HashedCross(11), (TEXTS, TEXTS[::-1]), TEXT),
    "crossed integers": Case(HashedCross(11), (INTS, INTS[::-1]), INT),
}
