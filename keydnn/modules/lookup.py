"""Lookups: StringLookup, IntegerLookup and their inverses, and ToFloat.  Python and NumPy do the work, no kernel."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Mapping
from typing import Any, ClassVar

import numpy as np

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Shape, choice, integer, module
from keydnn.modules.fingerprint import fingerprint64, siphash
from keydnn.modules.typed import EXACT, INT64, AnyArray, TypedModule, utf8

Salt = tuple[int, int]
OOV_HASHES = ("mod", "farmhash")


def vocabulary() -> Any:
    """Declare the field of a vocabulary, which may be long, and is left out where a module is shown."""
    return dataclasses.field(repr=False)


def canonical_vocabulary(tokens: Any, kind: type, *reserved: object) -> tuple[Any, ...]:
    """Give a vocabulary as a tuple; ParameterError unless it holds tokens of one type, each once, none reserved."""
    if isinstance(tokens, np.ndarray):
        tokens = tokens.tolist()
    if not isinstance(tokens, (list, tuple)):
        raise ParameterError(f"vocabulary must be a list, got {type(tokens).__name__}")
    for token in tokens:
        if type(token) is not kind:
            raise ParameterError(f"vocabulary must hold {kind.__name__} only, got {str(token)[:40]!r}")
    if kind is int and any(not is_int64(token) for token in tokens):
        raise ParameterError("vocabulary must hold integers that int64 can hold")
    known: set[object] = set()
    for token in tokens:
        if token in known or token in reserved:
            raise ParameterError(f"vocabulary holds {str(token)[:40]!r} twice, or a token that is reserved")
        known.add(token)
    if len(tokens) > EXACT // 2:
        raise ParameterError(f"vocabulary must hold at most {EXACT // 2} tokens, got {len(tokens)}")
    return tuple(tokens)


def is_int64(value: object) -> bool:
    """Tell whether a value is an integer that int64 can hold."""
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def canonical_salt(salt: Any) -> Salt | None:
    """Give the key of a hash as two integers; None where there is none."""
    if salt is None:
        return None
    pair = tuple(salt) if isinstance(salt, (list, tuple)) else (salt, salt)
    if len(pair) != 2 or not all(map(is_int64, pair)):
        raise ParameterError(f"salt must be an integer, two, or None, got {salt!r}")
    return (pair[0], pair[1])


def bucket(text: bytes, buckets: int, salt: Salt | None) -> int:
    """Give the bucket of a text as TensorFlow does: FarmHash, or SipHash if there is a salt."""
    return (fingerprint64(text) if salt is None else siphash(text, salt)) % buckets


def example_of(tokens: tuple[Any, ...], random: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
    """Give random tokens of a vocabulary."""
    return np.array(tokens, object if isinstance(tokens[0], str) else np.int64)[random.integers(0, len(tokens), shape)]


class _Lookup(TypedModule):
    """What both lookups share: ids of the mask, of tokens out of the vocabulary, and of the vocabulary's, in order."""

    vocabulary: Any
    num_oov_indices: int
    mask_token: Any
    mask_index: int
    first_index: int
    salt: Any

    def check(self, kind: type) -> None:
        """Make the parameters canonical."""
        if self.mask_token is not None and (
            type(self.mask_token) is not kind or (kind is int and not is_int64(self.mask_token))
        ):
            raise ParameterError(f"mask_token must be of type {kind.__name__} or None, got {self.mask_token!r}")
        reserved = () if self.mask_token is None else (self.mask_token,)
        if not len(self.vocabulary):
            raise ParameterError("vocabulary must hold a token")
        self.set(
            vocabulary=canonical_vocabulary(self.vocabulary, kind, *reserved),
            num_oov_indices=integer("num_oov_indices", self.num_oov_indices, 0),
            mask_index=integer("mask_index", self.mask_index, 0),
            first_index=integer("first_index", self.first_index, 0),
            salt=canonical_salt(self.salt),
        )
        if max(self.mask_index, self.first_index + self.num_oov_indices + len(self.vocabulary)) > EXACT:
            raise ParameterError(f"num_oov_indices, mask_index and first_index must give ids of at most {EXACT}")

    @property
    def first_token(self) -> int:
        """The id of the vocabulary's first token."""
        return self.first_index + self.num_oov_indices

    def refuse(self, token: object) -> ShapeError:
        """Make the error for a token that has no id."""
        return ShapeError(f"{self} has no {str(token)[:40]!r} in its vocabulary, and no id for what is not in it")

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def example(self, random: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
        return example_of(self.vocabulary, random, shape)


@module
class StringLookup(_Lookup):
    """The id of every text, element by element; text in, float32 out.

    Parameters
    ----------
    vocabulary
        The tokens, ``str``, each once, without the mask token.
    num_oov_indices
        How many ids are for texts that are not in the vocabulary: 0 makes these a ShapeError; of two or more a hash
        chooses one.
    mask_token
        A text that has an id of its own, or None.
    mask_index
        That id.
    first_index
        The first id of all others: those out of the vocabulary, then the vocabulary's.
    salt
        None: the hash is FarmHash; two integers (or one for both): SipHash with this key.

    Keras source: ``keras.layers.StringLookup``.
    """

    takes = ("string",)
    vocabulary: Any = vocabulary()
    num_oov_indices: int = 1
    mask_token: Any = None
    mask_index: int = 0
    first_index: int = 0
    salt: Any = None

    def __post_init__(self) -> None:
        self.check(str)
        super().__post_init__()

    @functools.cached_property
    def _ids(self) -> Mapping[str, int]:
        ids = {token: place for place, token in enumerate(self.vocabulary, self.first_token)}
        return ids if self.mask_token is None else {**ids, self.mask_token: self.mask_index}

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        ids = self._ids
        if self.num_oov_indices == 1:
            found = [ids.get(text, self.first_index) for text in inputs[0].ravel()]
        else:
            found = [ids[text] if text in ids else self._outside(text) for text in inputs[0].ravel()]
        return np.array(found, np.float32).reshape(inputs[0].shape)

    def _outside(self, text: str) -> int:
        if not self.num_oov_indices:
            raise self.refuse(text)
        return self.first_index + bucket(utf8(text), self.num_oov_indices, self.salt)


@module
class IntegerLookup(_Lookup):
    """The id of every integer, element by element; int64 (or float32, whose fraction is cut off) in, float32 out.

    Parameters
    ----------
    vocabulary, num_oov_indices, mask_token, mask_index, first_index
        As of :class:`StringLookup`, with integers for texts.
    oov_hash
        How an integer out of the vocabulary gets one of several ids: ``"mod"``, its remainder; ``"farmhash"``, by the
        hash of its decimal digits.
    salt
        As of :class:`StringLookup`, for ``"farmhash"``.

    Keras source: ``keras.layers.IntegerLookup``.
    """

    takes = ("int64", "float32")
    vocabulary: Any = vocabulary()
    num_oov_indices: int = 1
    mask_token: Any = None
    mask_index: int = 0
    first_index: int = 0
    oov_hash: str = "mod"
    salt: Any = None

    def __post_init__(self) -> None:
        self.check(int)
        self.set(oov_hash=choice("oov_hash", self.oov_hash, OOV_HASHES))
        super().__post_init__()

    @functools.cached_property
    def _table(self) -> tuple[INT64, INT64]:
        """Give the tokens in ascending order, and their ids."""
        tokens, ids = list(self.vocabulary), list(range(self.first_token, self.first_token + len(self.vocabulary)))
        if self.mask_token is not None:
            tokens, ids = [*tokens, self.mask_token], [*ids, self.mask_index]
        order = np.argsort(np.array(tokens, np.int64), kind="stable")
        return np.array(tokens, np.int64)[order], np.array(ids, np.int64)[order]

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        (x,) = inputs
        with np.errstate(invalid="ignore"):
            x = x.astype(np.int64, copy=False)
        tokens, ids = self._table
        places = np.minimum(np.searchsorted(tokens, x), len(tokens) - 1)
        known = tokens[places] == x
        found = np.where(known, ids[places], self.first_index)
        if self.num_oov_indices != 1 and not known.all():
            found[~known] += self._outside(x[~known])
        return found.astype(np.float32)

    def _outside(self, x: INT64) -> INT64:
        """Give the bucket of integers that are not in the vocabulary."""
        if not self.num_oov_indices:
            raise self.refuse(x[0])
        if self.oov_hash == "mod":
            return np.mod(x, self.num_oov_indices)
        return np.array([bucket(b"%d" % value, self.num_oov_indices, self.salt) for value in x.tolist()], np.int64)


class _Inverse(TypedModule):
    """What both inverses share."""

    takes = ("float32",)
    vocabulary: Any
    oov_token: Any
    mask_token: Any
    first_index: int

    def check(self, kind: type) -> None:
        """Make the parameters canonical."""
        self.set(
            vocabulary=canonical_vocabulary(self.vocabulary, kind),
            first_index=integer("first_index", self.first_index, 0),
        )
        canonical_vocabulary([self.oov_token], kind)
        canonical_vocabulary([] if self.mask_token is None else [self.mask_token], kind)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        first, end = self.first_index, self.first_index + len(self.vocabulary)
        rows = np.trunc(inputs[0])
        known = (rows >= first) & (rows < end)
        dtype = object if self.gives == "string" else np.int64
        out = np.full(rows.shape, self.oov_token, dtype)
        out[known] = np.array(self.vocabulary, dtype)[rows[known].astype(np.int64) - first]
        if self.mask_token is not None:
            out[rows == 0] = self.mask_token
        return out


@module
class InverseStringLookup(_Inverse):
    """The text of every id, element by element; float32 in, text out.

    Parameters
    ----------
    vocabulary
        The tokens, ``str``.
    oov_token
        The text of ids that have no token.
    mask_token
        The text of id 0, or None where that is an id as any other.
    first_index
        The id of the vocabulary's first token.

    Keras source: ``keras.layers.StringLookup`` with ``invert=True``.
    """

    gives: ClassVar[str] = "string"
    vocabulary: Any = vocabulary()
    oov_token: Any = "[UNK]"
    mask_token: Any = None
    first_index: int = 1

    def __post_init__(self) -> None:
        self.check(str)
        super().__post_init__()


@module
class InverseIntegerLookup(_Inverse):
    """The integer of every id, element by element; float32 in, int64 out; otherwise as :class:`InverseStringLookup`.

    Keras source: ``keras.layers.IntegerLookup`` with ``invert=True``.
    """

    gives: ClassVar[str] = "int64"
    vocabulary: Any = vocabulary()
    oov_token: Any = -1
    mask_token: Any = None
    first_index: int = 1

    def __post_init__(self) -> None:
        self.check(int)
        super().__post_init__()


@module
class ToFloat(TypedModule):
    """int64 as float32; a ShapeError where float32 might not hold a number, beyond 2**24.

    Keras source: none; it stands where a layer computes with integers that a lookup reads too.
    """

    takes = ("int64",)

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        (x,) = inputs
        beyond = (x > EXACT) | (x < -EXACT)
        if beyond.any():
            raise ShapeError(f"{self} takes integers that float32 can hold, up to {EXACT}, got {x[beyond][0]}")
        return x.astype(np.float32)
