"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate, Dot."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from string import ascii_lowercase

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.arithmetic import Where
from keydnn.modules.base import Module
from keydnn.modules.masking import MaskedFill
from keydnn.modules.matmul import Contract
from keydnn.modules.merge import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from keydnn.modules.norm import UnitNorm
from keydnn.modules.shape import Reshape

ELEMENTWISE = {
    "Add": Add,
    "Subtract": Subtract,
    "Multiply": Multiply,
    "Average": Average,
    "Maximum": Maximum,
    "Minimum": Minimum,
}

LEAST_LENGTH = {False: 1e-6, True: 1e-7}  # of Dot(normalize=True): tf.math.l2_normalize takes the root of 1e-12
LEARNED_MASKS = (3, 4)  # the first Keras 3 whose merges take masks into account


@builds(*ELEMENTWISE)
def elementwise(call: LayerCall) -> Value:
    """Inputs of lower rank get axes of size 1 behind the batch, as Keras does."""
    masks, values = call.masks(), call.inputs()
    if len(values) == 1 and call.class_name != "Subtract":
        return replace(call.identity(values[0]), mask=_merged_mask(call, masks))
    rank = max(len(value.shape) for value in values)
    for place, value in enumerate(values):
        if len(value.shape) < rank:
            shape = _widened(call, value, rank)
            call.rewrite(f"input {place} of rank {len(value.shape)} gets axes of size 1 behind the batch, as in Keras")
            values[place] = call.emit(Reshape(shape), value, part=f"rank{place}")
    module, mask = ELEMENTWISE[call.class_name](), _merged_mask(call, masks)
    if call.version < LEARNED_MASKS or call.class_name not in ("Multiply", "Maximum", "Minimum") or not any(masks):
        return replace(call.emit(module, *values), mask=mask)
    return replace(_of_masked(call, module, values, masks, mask), mask=mask)


def _widened(call: LayerCall, value: Value, rank: int) -> tuple[int, ...]:
    """Give the sizes of a value with axes of size 1 behind the batch; one of them may be free."""
    sizes = [-1 if size is None else size for size in value.shape[1:]]
    if sizes.count(-1) > 1:
        sizes = [call.size(value, axis) for axis in range(1, len(value.shape))]
    return (*(1,) * (rank - len(value.shape)), *sizes)


@builds("Concatenate")
def concatenate(call: LayerCall) -> Value:
    """``axis`` may count from the end; it is made explicit."""
    axes = call.axes("axis", -1)
    masks, values = call.masks(), call.inputs()
    if len(values) == 1:
        return replace(call.identity(values[0]), mask=_merged_mask(call, masks))
    rank = len(values[0].shape)
    module = Concatenate(call.positions(values[0], axes)[0])
    mask = _merged_mask(call, masks) if module.dim == rank - 1 else _joined_mask(call, module, masks)
    return replace(call.emit(module, *values), mask=mask)


def _merged_mask(call: LayerCall, masks: Sequence[Value | None]) -> Value | None:
    """Give the mask of inputs that are merged step by step.

    A step counts if it does in every input that has a mask; since Keras 3.4 if it does in any, and one without a mask
    always does.  In Keras 3.0 to 3.3 merges forgot masks.
    """
    known = list({mask.name: mask for mask in masks if mask is not None}.values())
    if not known or (call.version >= (3,) and (call.version < LEARNED_MASKS or None in masks)):
        return None
    if len(known) == 1:
        return known[0]
    module: Module = Minimum() if call.version < (3,) else Maximum()
    return call.emit(module, *known, part="mask")


def _joined_mask(call: LayerCall, module: Concatenate, masks: Sequence[Value | None]) -> Value | None:
    """Give the mask of sequences one behind the other."""
    if not any(masks) or (3,) <= call.version < LEARNED_MASKS:
        return None
    known = [mask for mask in masks if mask is not None and len(mask.shape) > module.dim]
    if len(known) != len(masks):
        found = f"axis={module.dim}, not all of its inputs with a mask of that axis"
        call.obstacle(f"with {found}", found)
        call.stop()
    return call.emit(module, *known, part="mask")


def _of_masked(
    call: LayerCall, module: Module, values: Sequence[Value], masks: Sequence[Value | None], mask: Value | None
) -> Value:
    """Merge what counts: masked steps of a product are ones, and zeros in the end if no input counts."""
    if any(mask is not None and len(mask.shape) != len(x.shape) - 1 for x, mask in zip(values, masks, strict=True)):
        call.obstacle("of masked inputs", "masked inputs of different ranks, whose masked steps Keras leaves out")
        call.stop()
    if not isinstance(module, Multiply):
        return _extreme_of_masked(call, module, values, masks)
    filled = [
        x if own is None else call.emit(MaskedFill(1.0), x, own, part=f"in{place}")
        for place, (x, own) in enumerate(zip(values, masks, strict=True))
    ]
    if mask is None:
        return call.emit(module, *filled)
    return call.emit(MaskedFill(), call.emit(module, *filled, part="product"), mask)


def _extreme_of_masked(
    call: LayerCall, module: Module, values: Sequence[Value], masks: Sequence[Value | None]
) -> Value:
    """Take the largest or smallest of what counts: where one of two does not, it gives way to the other."""
    wide = [None if mask is None else _with_cells(call, mask, place) for place, mask in enumerate(masks)]
    result, counts = values[0], wide[0]
    for place, (x, own) in enumerate(zip(values[1:], wide[1:], strict=True), 1):
        if own is not None:
            x = call.emit(Where(), own, x, result, part=f"in{place}")
        if counts is not None:
            result = call.emit(Where(), counts, result, x, part=f"first{place}")
        is_last = place == len(values) - 1
        if not is_last:
            counts = None if own is None or counts is None else call.emit(Maximum(), counts, own, part=f"any{place}")
        result = call.emit(module, result, x, part="" if is_last else f"of{place + 1}")
    return result


def _with_cells(call: LayerCall, mask: Value, place: int) -> Value:
    """Give a mask (N, T) as (N, T, 1)."""
    sizes = tuple(-1 if size is None else size for size in mask.shape[1:])
    return call.emit(Reshape((*sizes, 1)), mask, part=f"mask{place}")


@builds("Dot")
def dot(call: LayerCall) -> Value:
    """Products summed along one axis of each input, for all pairs of the others; one number for two vectors."""
    axes, normalize = call.axes("axes", None), call.boolean("normalize", False)
    values = call.inputs()
    if len(values) != 2 or len(axes) > 2:
        call.refuse("axes", f"one axis of each of two inputs is expected, which are {len(values)}")
        call.stop()
    names, labels = iter(ascii_lowercase), []
    for place, (value, axis) in enumerate(zip(values, (axes[0], axes[-1]), strict=True)):
        (position,) = call.positions(value, [axis], "axes")
        labels.append("".join("Z" if i == position else next(names) if i else "N" for i in range(len(value.shape))))
        if normalize:
            moved, order = call.axes_last(value, [position])
            moved = call.emit(UnitNorm(-1, LEAST_LENGTH[call.version >= (3,)]), moved, part=f"normalized{place}")
            values[place] = call.axes_back(moved, order)
    out = "N" + "".join(labels).replace("N", "").replace("Z", "")
    product = Contract(f"{labels[0]},{labels[1]}->{out}")
    if len(out) > 1:
        return call.emit(product, *values)
    return call.emit(Reshape((1,)), call.emit(product, *values, part="products"))
