"""TextVectorization: sentences to ids of words.  Python does the work, on the bytes of UTF-8; there is no kernel."""

from __future__ import annotations

import functools
import string
from collections.abc import Mapping
from typing import Any

import numpy as np

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Shape, choice, integer, module, shape_text
from keydnn.modules.lookup import canonical_vocabulary, example_of, vocabulary
from keydnn.modules.typed import EXACT, AnyArray, TypedModule, utf8

STANDARDIZE = ("lower_and_strip_punctuation", "lower", "strip_punctuation", None)
SPLIT = ("whitespace", "character", None)
EXAMPLE_WORDS = 20
PUNCTUATION = string.punctuation.encode()


@module
class TextVectorization(TypedModule):
    """Split texts into tokens and give their ids: (N,) or (N, ..., 1) gives (N, ..., tokens); text in, float32 out.

    As in TensorFlow only ASCII letters become lower case, and only ASCII spaces separate words.

    Parameters
    ----------
    vocabulary
        The tokens, ``str``, each once, without the empty one.
    standardize
        ``"lower_and_strip_punctuation"``, ``"lower"``, ``"strip_punctuation"`` or None.
    split
        ``"whitespace"``, ``"character"`` or None: every text is a token, and the last axis holds those of one sequence.
    ngrams
        Numbers of tokens that are joined by spaces, in order: ``(1, 2)`` gives words, then pairs.  None as ``(1,)``.
    output_length
        Sequences are cut or padded to this length; None: padded to the longest one of the batch.
    padding_index
        The id of padding, and of the empty token.
    first_index
        The id of tokens that are not in the vocabulary, which begins behind it.

    Keras source: ``keras.layers.TextVectorization``.
    """

    takes = ("string",)
    vocabulary: Any = vocabulary()
    standardize: Any = "lower_and_strip_punctuation"
    split: Any = "whitespace"
    ngrams: Any = None
    output_length: int | None = None
    padding_index: int = 0
    first_index: int = 1

    def __post_init__(self) -> None:
        if self.standardize is not None:
            choice("standardize", self.standardize, STANDARDIZE[:-1])
        if self.split is not None:
            choice("split", self.split, SPLIT[:-1])
        if self.ngrams is not None:
            if not isinstance(self.ngrams, (list, tuple)) or not self.ngrams:
                raise ParameterError(f"ngrams must be a list of integers or None, got {self.ngrams!r}")
            self.set(ngrams=tuple(integer("ngrams", width) for width in self.ngrams))
        self.set(
            vocabulary=canonical_vocabulary(self.vocabulary, str, ""),
            output_length=None if self.output_length is None else integer("output_length", self.output_length),
            padding_index=integer("padding_index", self.padding_index, 0),
            first_index=integer("first_index", self.first_index, 0),
        )
        if max(self.padding_index, self.first_index + len(self.vocabulary)) > EXACT:
            raise ParameterError(f"padding_index and first_index must give ids of at most {EXACT}")
        if not self.vocabulary:
            raise ParameterError("vocabulary must hold a token")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if self.split is not None:
            if len(x) > 1 and x[-1] not in (None, 1):
                raise ShapeError(f"{self} takes an input (N,) or (N, ..., 1), got {shape_text(x)}")
            return (*(x[:-1] if len(x) > 1 else x), self.output_length)
        if len(x) == 1:
            if self.output_length is not None or self.ngrams is not None:
                raise ShapeError(f"{self} takes an input (N, ..., tokens), got {shape_text(x)}")
            return x
        if self.output_length is not None or x[-1] is None:
            return (*x[:-1], self.output_length)
        return (*x[:-1], sum(max(x[-1] - width + 1, 0) for width in self.ngrams or (1,)))

    def example(self, random: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
        words = example_of(self.vocabulary, random, (*shape, EXAMPLE_WORDS if self.split else 1))
        joined = [" ".join(words) for words in words.reshape(-1, words.shape[-1]).tolist()]
        return np.array(joined, object).reshape(shape)

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        (x,) = inputs
        texts = [self._standardized(utf8(text)) for text in x.ravel()]
        if self.split is None:
            width = x.shape[-1] if x.ndim > 1 else 1
            rows = [texts[start : start + width] for start in range(0, len(texts), max(width, 1))]
        else:
            rows = [self._tokens(text) for text in texts]
        lead = x.shape[:-1] if x.ndim > 1 else x.shape
        ids = self._padded([self._numbered(row) for row in rows])
        if self.split is None and x.ndim == 1:
            return ids[:, 0]
        return ids.reshape(*lead, ids.shape[-1])

    def _standardized(self, text: bytes) -> bytes:
        if self.standardize in ("lower", "lower_and_strip_punctuation"):
            text = text.lower()  # of bytes: ASCII only
        if self.standardize in ("strip_punctuation", "lower_and_strip_punctuation"):
            text = text.translate(None, PUNCTUATION)
        return text

    def _tokens(self, text: bytes) -> list[bytes]:
        if self.split == "whitespace":
            return text.split()  # of bytes: at ASCII spaces
        return [character.encode() for character in text.decode("utf-8", "replace")]

    @functools.cached_property
    def _ids(self) -> Mapping[bytes, int]:
        ids = {utf8(token): place for place, token in enumerate(self.vocabulary, self.first_index + 1)}
        return {**ids, b"": self.padding_index}

    def _numbered(self, tokens: list[bytes]) -> list[int]:
        ids, outside, length = self._ids, self.first_index, self.output_length
        if self.ngrams is None:
            return [ids.get(token, outside) for token in tokens[:length]]
        found: list[int] = []
        for width in self.ngrams:
            ends = range(width, len(tokens) + 1)
            found += [ids.get(b" ".join(tokens[end - width : end]), outside) for end in ends]
        return found[:length]

    def _padded(self, rows: list[list[int]]) -> AnyArray:
        length = max(map(len, rows), default=0) if self.output_length is None else self.output_length
        out = np.full((len(rows), length), self.padding_index, np.float32)
        for place, row in enumerate(rows):
            out[place, : len(row)] = row
        return out
