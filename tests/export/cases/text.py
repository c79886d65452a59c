"""Sentences to ids of words."""

import numpy as np

from keydnn.modules import TextVectorization
from tests.export.case import TEXT, Case

WORDS = ("the", "cat", "sat", "größe", "the cat", "a", "c")
SENTENCES = np.array([["The cat, sat."], ["größe\tthe  the dog"], [""]], object)
TOKENS = np.array([["the", "dog", "", "größe"], ["The", "cat", "the", "sat"]], object)

CASES = {
    "words": Case(TextVectorization(WORDS), (SENTENCES,), TEXT),
    "words, rank 1": Case(TextVectorization(WORDS), (SENTENCES[:, 0],), TEXT),
    "words, length": Case(TextVectorization(WORDS, output_length=3), (SENTENCES,), TEXT),
    "words, longer, other ids": Case(
        TextVectorization(WORDS, output_length=6, padding_index=2, first_index=5), (SENTENCES,), TEXT
    ),
    "lower": Case(TextVectorization(WORDS, "lower"), (SENTENCES,), TEXT),
    "no punctuation": Case(TextVectorization(WORDS, "strip_punctuation"), (SENTENCES,), TEXT),
    "as it is": Case(TextVectorization(WORDS, None), (SENTENCES,), TEXT),
    "characters": Case(TextVectorization(WORDS, split="character", output_length=8), (SENTENCES,), TEXT),
    "pairs": Case(TextVectorization(WORDS, ngrams=(1, 2)), (SENTENCES,), TEXT),
    "tokens": Case(TextVectorization(WORDS, None, None), (TOKENS,), TEXT),
    "tokens, rank 1": Case(TextVectorization(WORDS, None, None), (TOKENS[0],), TEXT),
    "tokens, shorter": Case(TextVectorization(WORDS, None, None, output_length=3), (TOKENS,), TEXT),
    "tokens, longer, other ids": Case(
        TextVectorization(WORDS, None, None, (1,), 6, padding_index=3, first_index=8), (TOKENS,), TEXT
    ),
    "tokens, pairs": Case(TextVectorization(WORDS, None, None, (2,)), (TOKENS,), TEXT),
    "tokens, lower": Case(TextVectorization(WORDS, "lower", None), (TOKENS,), TEXT),
}
