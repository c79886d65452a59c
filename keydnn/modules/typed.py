"""Values that are not float32, int64 numbers and text, and what modules that read or give them have in common.

Such modules do their work in Python and NumPy, ahead of the plan; there is no kernel.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, as_float32

DTYPES = ("float32", "int64", "string")

AnyArray = npt.NDArray[Any]  # float32; int64; or str objects (dtype object)
INT64 = npt.NDArray[np.int64]
EXACT = 1 << 24  # float32 holds every integer up to here


class TypedModule(Module):
    """A module with values that are not float32, or whose output's shape depends on its input's values.

    Subclasses define ``evaluate`` instead of ``compute``.
    """

    takes: ClassVar[tuple[str, ...]] = DTYPES
    gives: ClassVar[str] = "float32"

    def output_dtype(self, *dtypes: str) -> str:
        wrong = next((dtype for dtype in dtypes if dtype not in self.takes), None)
        if wrong is not None:
            raise ShapeError(f"{self} takes {' or '.join(self.takes)}, got {wrong}")
        return self.gives

    def evaluate(self, *inputs: AnyArray) -> AnyArray:
        """Give the result for arrays of dtypes that the module takes."""
        raise NotImplementedError

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, self.evaluate(*inputs))

    def forward(self, *inputs: npt.ArrayLike) -> AnyArray:
        """Check the inputs and compute the output.

        Parameters
        ----------
        inputs
            Arrays; text as ``str``, ``bytes`` (UTF-8) or NumPy's own types of text.

        Raises
        ------
        ShapeError
            An input of the wrong number, rank, size or type.
        """
        self.check_arity(len(inputs))
        arrays = [self._taken(x) for x in inputs]
        self.require_tensors()
        self.output_shape(*(array.shape for array in arrays))
        return self.evaluate(*arrays)

    def _taken(self, value: npt.ArrayLike) -> AnyArray:
        """Give an input in the dtype that fits its values best, of those that the module takes."""
        dtype = self.takes[0]
        if len(self.takes) > 1:
            array = value if isinstance(value, np.ndarray) else np.array(value, dtype=object)
            first = array.flat[0] if array.size else 0
            kinds = {"string": (str, bytes), "int64": (int, np.integer)}
            dtype = next((name for name in kinds if name in self.takes and isinstance(first, kinds[name])), "float32")
        return as_dtype(dtype, f"the input of {self}", value)


def as_dtype(dtype: str, owner: str, value: npt.ArrayLike) -> AnyArray:
    """Give an array in C order of a dtype of :data:`DTYPES`; ShapeError, naming the owner, if it holds anything else.

    Text is an array of ``str`` objects; bytes that are no UTF-8 are kept in it as lone surrogates.
    """
    if dtype == "string":
        return _text(owner, value)
    try:
        array = np.asarray(value)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"dtype {array.dtype}")
        return as_float32(array) if dtype == "float32" else _integers(array)
    except (TypeError, ValueError, OverflowError) as error:
        what = "integers" if dtype == "int64" else "numbers"
        raise ShapeError(f"{owner} must be an array of {what}: {error}") from None


def _integers(array: npt.NDArray[Any]) -> INT64:
    with np.errstate(invalid="ignore"):
        found = np.ascontiguousarray(array, np.int64)
    if array.dtype.kind == "f" and not np.array_equal(found, array):
        raise ValueError("it holds fractions, NaN or numbers beyond int64")
    if array.dtype.kind == "u" and array.size and int(array.max()) >= 1 << 63:
        raise ValueError(f"{array.max()} is beyond int64")
    return found


def _text(owner: str, value: npt.ArrayLike) -> npt.NDArray[Any]:
    try:
        # Lists become objects at once: an array of one width would be as wide as the longest text.
        array = value if isinstance(value, np.ndarray) else np.array(value, dtype=object)
        if array.dtype.kind not in "UTSO":
            raise TypeError(f"dtype {array.dtype}")
        items = array.ravel().tolist()
        if not all(type(item) is str for item in items):
            items = [_str(item) for item in items]
    except (TypeError, ValueError) as error:
        raise ShapeError(f"{owner} must be an array of text: {error}") from None
    found = np.empty(len(items), object)
    found[:] = items
    return found.reshape(array.shape)


def _str(item: object) -> str:
    if isinstance(item, str):
        return str(item)
    if isinstance(item, bytes):
        return item.decode("utf-8", "surrogateescape")
    raise TypeError(f"{item!r} is no text")


def utf8(text: str) -> bytes:
    """Give the bytes of a text as :func:`as_dtype` gives it."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        raise ShapeError(f"{text[:40]!r} holds half of a surrogate pair, which is no text") from None
