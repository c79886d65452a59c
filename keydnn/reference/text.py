"""TextVectorization by regular expressions."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import numpy as np

from keydnn.reference.bounds import Bounded, Rules, exact

PUNCTUATION = r"[!\"#$%&()\*\+,-\./:;<=>?@\[\\\]^_`{|}~\']"  # as in Keras


def tokens_of(
    text: str | Sequence[str], standardize: str | None, split: str | None, ngrams: Sequence[int] | None
) -> list[str]:
    """Give the tokens of a text (a list of them without ``split``)."""
    texts = [text] if isinstance(text, str) else list(text)
    if standardize in ("lower", "lower_and_strip_punctuation"):
        texts = [re.sub("[A-Z]", lambda letter: letter[0].lower(), text) for text in texts]
    if standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
        texts = [re.sub(PUNCTUATION, "", text) for text in texts]
    if split == "whitespace":
        texts = [token for token in re.split("[ \t\n\r\x0b\x0c]+", texts[0]) if token]
    elif split == "character":
        texts = list(texts[0])
    return [
        " ".join(texts[start : start + width]) for width in ngrams or (1,) for start in range(len(texts) - width + 1)
    ]


def vectorize(module: Any, x: Bounded) -> Bounded:
    """Number the tokens of every text, or of every row of tokens."""
    ids = {token: place for place, token in enumerate(module.vocabulary, module.first_index + 1)}
    ids[""] = module.padding_index
    rows = x.value.ravel() if module.split or x.value.ndim == 1 else x.value.reshape(-1, x.value.shape[-1]).tolist()
    found = [[ids.get(t, module.first_index) for t in tokens_of(row, *_options(module))] for row in rows]
    width = module.output_length or max(map(len, found))
    padded = np.array([(row + [module.padding_index] * width)[:width] for row in found])
    if x.value.ndim == 1:
        return exact(padded if module.split else padded[:, 0])
    return exact(padded.reshape(*x.value.shape[:-1], width))


def _options(module: Any) -> tuple[str | None, str | None, Sequence[int] | None]:
    return module.standardize, module.split, module.ngrams


RULES: Rules = {"TextVectorization": vectorize}
