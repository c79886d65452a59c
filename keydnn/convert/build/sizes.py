"""Operations on sizes of tensors (``tf.shape(x)[0]``), worked out while the graph is built.

``reshape(x, [tf.shape(x)[0], -1])`` is common in tf-keras.  Sizes that are free stay unknown through every operation.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from keydnn.convert.build.call import Sizes, Value
from keydnn.convert.read.record import Call, Layer, TensorRef, refs_in, replace_refs
from keydnn.strict_json import Json

Numbers = npt.NDArray[np.object_]  # of integers, and None for what is not known

MOST, LARGEST = 64, 1 << 32  # sizes in a list, and of an axis: files must not make them grow without end


def _elementwise(function: Callable[[int, int], Any]) -> Callable[..., list[Any]]:
    def apply(config: Mapping[str, Json], x: Any, y: Any) -> list[Any]:
        first, second = np.broadcast_arrays(_array(x), _array(y))
        pairs = zip(first.ravel(), second.ravel(), strict=True)
        found = [None if None in pair else function(*pair) for pair in pairs]
        return [_array(found).reshape(first.shape)]

    return apply


def _array(content: Any) -> Numbers:
    return np.array(content, dtype=object)


def _same(config: Mapping[str, Json], x: Any, *_: Any) -> list[Any]:
    return [_array(x)]


def _item(config: Mapping[str, Json], x: Any, key: Any) -> list[Any]:
    return [_array(_array(x)[tuple(key) if isinstance(key, list) else key])]


def _joined(config: Mapping[str, Json], parts: Sequence[Any]) -> list[Any]:
    return [np.concatenate([_array(part).ravel() for part in parts])]


def _stacked(config: Mapping[str, Json], parts: Sequence[Any]) -> list[Any]:
    return [_array(list(parts))]


def _unstacked(config: Mapping[str, Json], x: Any) -> list[Any]:
    return [_array(size) for size in _array(x)]


def _product(config: Mapping[str, Json], x: Any) -> list[Any]:
    sizes = _array(x).ravel().tolist()
    return [_array(None if None in sizes else int(np.prod(sizes)))]


FOLDS: Mapping[str, Callable[..., list[Any]]] = {
    "Add": _elementwise(operator.add),
    "Subtract": _elementwise(operator.sub),
    "Multiply": _elementwise(operator.mul),
    "FloorDivide": _elementwise(operator.floordiv),
    "Mod": _elementwise(operator.mod),
    "Maximum": _elementwise(max),
    "Minimum": _elementwise(min),
    "Cast": _same,
    "Copy": _same,
    "GetItem": _item,
    "Concatenate": _joined,
    "Stack": _stacked,
    "Unstack": _unstacked,
    "Prod": _product,
}


def of_sizes(layer: Layer, call: Call, values: Mapping[TensorRef, Value | None]) -> list[Sizes] | None:
    """Give the outputs of an operation on sizes of tensors; None if it is another operation, or on other values."""
    found = [values.get(ref) for ref in refs_in((call.args, call.kwargs))]
    if layer.package != "ops" or not found or not all(isinstance(value, Sizes) for value in found):
        return None
    fold = FOLDS.get(layer.class_name)
    if fold is None:
        return None

    def content(ref: TensorRef) -> Any:
        value = values[ref]
        return value.content if isinstance(value, Sizes) else None

    try:
        made = fold(layer.config, *replace_refs(call.args, content))
    except (TypeError, ValueError, IndexError, ZeroDivisionError):
        return None  # the builder says what is wrong
    if not all(array.ndim < 2 and array.size <= MOST and all(map(_is_size, array.ravel())) for array in made):
        return None
    return [Sizes.of(array.tolist()) for array in made]


def _is_size(item: Any) -> bool:
    return item is None or (type(item) is int and abs(item) <= LARGEST)
