"""Hashing: Hash and HashedCross put text and integers into buckets.  Python does the work, no kernel."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Shape, integer, module, shape_text
from keydnn.modules.fingerprint import cross, fingerprint64
from keydnn.modules.lookup import Salt, bucket, canonical_salt, is_int64
from keydnn.modules.typed import EXACT, AnyArray, TypedModule, utf8


def _items(x: AnyArray) -> list[Any]:
    """Give what is to be hashed: texts, or integers, which is what numbers with a fraction are cut to."""
    with np.errstate(invalid="ignore"):
        return x.ravel().tolist() if x.dtype == object else x.astype(np.int64, copy=False).ravel().tolist()


def _bins(value: Any) -> int:
    bins = integer("num_bins", value)
    if bins > EXACT:
        raise ParameterError(f"num_bins must be at most {EXACT}, got {bins}")
    return bins


@module
class Hash(TypedModule):
    """The bucket of every text or integer (by its decimal digits), element by element; float32 out.

    Parameters
    ----------
    num_bins
        Number of buckets, at most 2**24.
    mask_value
        A text or an integer that has bucket 0 for itself, or None.
    salt
        None: FarmHash; two integers (or one for both): SipHash with this key.

    Keras source: ``keras.layers.Hashing``.
    """

    num_bins: int
    mask_value: Any = None
    salt: Any = None

    def __post_init__(self) -> None:
        if self.mask_value is not None and not isinstance(self.mask_value, str) and not is_int64(self.mask_value):
            raise ParameterError(f"mask_value must be text, an integer or None, got {self.mask_value!r}")
        self.set(num_bins=_bins(self.num_bins), salt=canonical_salt(self.salt))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        masked = self.mask_value is not None and self.num_bins > 1
        bins, first = self.num_bins - masked, int(masked)
        salt: Salt | None = self.salt
        found = [
            0 if masked and item == self.mask_value else first + bucket(_digits(item), bins, salt)
            for item in _items(inputs[0])
        ]
        return np.array(found, np.float32).reshape(inputs[0].shape)


def _digits(item: Any) -> bytes:
    return utf8(item) if isinstance(item, str) else b"%d" % item


@module
class HashedCross(TypedModule):
    """The bucket of what stands at the same place of several inputs, text or integers, taken together; float32 out.

    Parameters
    ----------
    num_bins
        Number of buckets, at most 2**24.

    Keras source: ``keras.layers.HashedCrossing``.
    """

    arity: ClassVar[int | None] = None
    num_bins: int

    def __post_init__(self) -> None:
        self.set(num_bins=_bins(self.num_bins))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        first = shapes[0]
        for shape in shapes[1:]:
            if len(shape) != len(first) or any(
                None not in pair and pair[0] != pair[1] for pair in zip(shape, first, strict=True)
            ):
                raise ShapeError(f"{self} takes inputs of one shape, got {shape_text(first)} and {shape_text(shape)}")
        return first

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        columns = [[fingerprint64(utf8(v)) if isinstance(v, str) else v for v in _items(x)] for x in inputs]
        found = [cross(row) % self.num_bins for row in zip(*columns, strict=True)]
        return np.array(found, np.float32).reshape(inputs[0].shape)
