"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Module
from keydnn.modules.masking import MaskedFill
from keydnn.modules.merge import Add, Average, Concatenate, Maximum, Minimum, Multiply, Subtract
from keydnn.modules.shape import Reshape

ELEMENTWISE = {
    "Add": Add,
    "Subtract": Subtract,
    "Multiply": Multiply,
    "Average": Average,
    "Maximum": Maximum,
    "Minimum": Minimum,
}

LEARNED_MASKS = (3, 4)  # the first Keras 3 whose merges take masks into account


@builds(*ELEMENTWISE)
def elementwise(call: LayerCall) -> Value:
    """Inputs of lower rank get axes of size 1 behind the batch, as Keras does."""
    masks, values = call.masks(), call.inputs()
    if len(values) == 1 and call.class_name != "Subtract":
        return call.identity(values[0])
    rank = max(len(value.shape) for value in values)
    for place, value in enumerate(values):
        if len(value.shape) < rank:
            sizes = tuple(call.size(value, axis) for axis in range(1, len(value.shape)))
            shape = (1,) * (rank - len(value.shape)) + sizes
            call.rewrite(f"input {place} of rank {len(value.shape)} gets axes of size 1 behind the batch, as in Keras")
            values[place] = call.emit(Reshape(shape), value, part=f"rank{place}")
    module, mask = ELEMENTWISE[call.class_name](), _merged_mask(call, masks)
    if call.version < LEARNED_MASKS or call.class_name not in ("Multiply", "Maximum", "Minimum") or not any(masks):
        return replace(call.emit(module, *values), mask=mask)
    return replace(_of_masked(call, module, values, masks, mask), mask=mask)


@builds("Concatenate")
def concatenate(call: LayerCall) -> Value:
    """``axis`` may count from the end; it is made explicit."""
    axis = call.option("axis", -1)
    if type(axis) is not int:
        call.refuse("axis", "an integer is expected")
    masks, values = call.masks(), call.inputs()
    if len(values) == 1:
        return call.identity(values[0])
    rank = len(values[0].shape)
    module = Concatenate(axis % rank)
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
    """Multiply what counts: masked steps are ones, and zeros in the end if no input counts."""
    apart = any(mask is not None and len(mask.shape) != len(x.shape) - 1 for x, mask in zip(values, masks, strict=True))
    if apart or not isinstance(module, Multiply):
        call.obstacle("of masked inputs", "masked inputs, whose masked steps Keras leaves out")
        call.stop()
    filled = [
        x if own is None else call.emit(MaskedFill(1.0), x, own, part=f"in{place}")
        for place, (x, own) in enumerate(zip(values, masks, strict=True))
    ]
    if mask is None:
        return call.emit(module, *filled)
    return call.emit(MaskedFill(), call.emit(module, *filled, part="product"), mask)
