"""Lookups."""

import numpy as np

from keydnn.modules import IntegerLookup, InverseIntegerLookup, InverseStringLookup, StringLookup, ToFloat
from tests.export.case import INT, TEXT, Case

WORDS = ("the", "größe", "", "cat sat", "日本")
TEXTS = np.array([["the", "cat sat", "a dog"], ["日本", "größe", ""], ["[UNK]", "The", "the"]], object)
KNOWN = np.array([["the", "cat sat"], ["日本", "größe"]], object)
NUMBERS = (5, -3, 10**12, 0, 7)
INTS = np.array([[5, 10**12, -4], [0, -3, 9], [7, 8, -(2**40)]])
IDS = np.float32([[0, 1, 2.9], [3, 5, 6], [-1, 99, 4]])

CASES = {
    "texts": Case(StringLookup(WORDS), (TEXTS,), TEXT),
    "texts, mask": Case(StringLookup(WORDS[:2], mask_token="", first_index=1), (TEXTS,), TEXT),
    "texts, mask with another id": Case(StringLookup(WORDS[:2], 1, "日本", 7, 2), (TEXTS,), TEXT),
    "texts, none unknown": Case(StringLookup(WORDS, 0), (KNOWN,), TEXT),
    "texts, several unknown": Case(StringLookup(WORDS, 3), (TEXTS,), TEXT),
    "texts, several unknown, salt": Case(StringLookup(WORDS, 3, salt=(1, 2)), (TEXTS,), TEXT),
    "integers": Case(IntegerLookup(NUMBERS), (INTS,), INT),
    "integers of float32": Case(IntegerLookup((5, -3, 0)), (np.float32([[5.9, -3], [-0.5, 4]]),)),
    "integers, mask": Case(IntegerLookup(NUMBERS[:3], 1, 0, first_index=1), (INTS,), INT),
    "integers, none unknown": Case(IntegerLookup(NUMBERS, 0, mask_token=9), (INTS[:2, :2],), INT),
    "integers, several unknown": Case(IntegerLookup(NUMBERS, 3, mask_token=9, first_index=1), (INTS,), INT),
    "integers, several unknown, hash": Case(IntegerLookup(NUMBERS, 3, oov_hash="farmhash"), (INTS,), INT),
    "texts of ids": Case(InverseStringLookup(WORDS), (IDS,)),
    "texts of ids, mask": Case(InverseStringLookup(WORDS[:3], "?", "[MASK]", 2), (IDS,)),
    "texts of ids, from 0": Case(InverseStringLookup(WORDS, first_index=0), (IDS,)),
    "integers of ids": Case(InverseIntegerLookup(NUMBERS), (IDS,)),
    "integers of ids, mask": Case(InverseIntegerLookup(NUMBERS, -7, 8, 2), (IDS,)),
    "as float32": Case(ToFloat(), (np.array([[1, -5, 2**24], [0, 7, -(2**24)]]),), INT),
}
