"""CategoryEncoding, Discretization, and the encodings that lookups and hashing have as well."""

from __future__ import annotations

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Array, Module, shape_text
from keydnn.modules.category import Bucketize, Count, MultiHot, OneHot, WeightedCount
from keydnn.modules.constant import Constant
from keydnn.modules.merge import Multiply
from keydnn.modules.shape import Flatten, Reshape

OLD_MODES = {"binary": "multi_hot", "tf-idf": "tf_idf"}


@builds("CategoryEncoding")
def category_encoding(call: LayerCall) -> Value:
    """Keras 2 refuses ids without a class, Keras 3 leaves them out; ``num_tokens`` was ``max_tokens`` once."""
    key = "num_tokens" if call.option("num_tokens") is not None else "max_tokens"
    classes, mode = call.integer(key), output_mode(call, "multi_hot", "one_hot", "count")
    strict = call.version < (3,)
    weights = call.tensor("count_weights", 1) if mode == "count" else None
    ids = call.input()
    if weights is not None:
        return call.emit(WeightedCount(classes, strict), ids, weights)
    return encoded(call, ids, mode, classes, strict)


@builds("Discretization")
def discretization(call: LayerCall) -> Value:
    """Boundaries are in the configuration; Keras 2 keeps what ``adapt`` has seen instead, among the weights."""
    mode = output_mode(call, "int", "one_hot", "multi_hot", "count")
    boundaries, bins = call.option("bin_boundaries"), call.option("num_bins")
    call.ignore("epsilon")
    shape = call.stored_shape("summary", 0) or ()
    if boundaries is None and type(bins) is int and bins > 0 and len(shape) == 2 and shape[0] == 2 and shape[1]:
        boundaries = _quantiles(call.weights(summary=shape)[0], bins)
    elif not isinstance(boundaries, list):
        call.refuse("bin_boundaries", "a list of numbers is expected; a layer that was never adapted has none")
        boundaries = []
    x = call.input()
    ids = call.emit(Bucketize(boundaries), x, part="" if mode == "int" else "ids")
    return encoded(call, ids, mode, len(boundaries) + 1)


def _quantiles(summary: Array, bins: int) -> list[float]:
    """Give the boundaries of equally full bins for a summary: values in ascending order, and the weight of each.

    It rounds as Keras 2 does (``get_bin_boundaries`` in ``tf_keras/src/layers/preprocessing/discretization.py``).
    """
    values, weights = summary
    if len(values) < bins:  # fewer values than bins: all but the last are boundaries
        return [float(value) for value in values[:-1]]
    share = 1.0 / bins
    below = weights.cumsum()
    found = np.interp(share + np.arange(0.0, 1.0, share), below / below[-1], values)
    return [float(value) for value in found.astype(np.float32)[:-1]]


def output_mode(call: LayerCall, *choices: str) -> str:
    """Read ``output_mode``, whose default is the first choice, and refuse sparse results."""
    call.require("sparse", False)
    mode = call.option("output_mode", choices[0])
    if mode in OLD_MODES and OLD_MODES[mode] in choices:
        return OLD_MODES[mode]
    return call.choice("output_mode", choices[0], choices)


def encoded(
    call: LayerCall, ids: Value, mode: str, classes: int, strict: bool = False, idf_weights: Array | None = None
) -> Value:
    """Give ids as ``output_mode`` says; all but one_hot take rows of them, (N, ids)."""
    if mode == "int":
        return ids
    if mode == "one_hot":
        if len(ids.shape) == 1 or ids.shape[-1] != 1:
            return call.emit(OneHot(classes, strict), ids)
        last = Flatten() if len(ids.shape) == 2 else _without_last_axis(call, ids, classes)
        return call.emit(last, call.emit(OneHot(classes, strict), ids, part="one_hot"))
    if len(ids.shape) != 2:
        found = f"with output_mode={mode!r} on an input {shape_text(ids.shape)}"
        call.obstacle(found, f"{found}: only (N, ids), elsewhere Keras adds up other axes than it says")
        call.stop()
    if idf_weights is None:
        return call.emit(MultiHot(classes, strict) if mode == "multi_hot" else Count(classes, strict), ids)
    factors = call.emit(Constant(idf_weights.shape, value=idf_weights), part="idf_weights")
    return call.emit(Multiply(), call.emit(Count(classes), ids, part="count"), factors)


def _without_last_axis(call: LayerCall, ids: Value, classes: int) -> Module:
    """Give the module for (N, ..., 1, classes) to (N, ..., classes)."""
    sizes = [call.size(ids, axis) for axis in range(1, len(ids.shape) - 1)]
    return Reshape((*sizes, classes))
