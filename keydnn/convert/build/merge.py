"""Add, Subtract, Multiply, Average, Maximum, Minimum, Concatenate."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
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


@builds(*ELEMENTWISE)
def elementwise(call: LayerCall) -> Value:
    """Inputs of lower rank get axes of size 1 behind the batch, as Keras does."""
    values = call.inputs()
    if len(values) == 1 and call.class_name != "Subtract":
        return call.identity(values[0])
    rank = max(len(value.shape) for value in values)
    for place, value in enumerate(values):
        if len(value.shape) < rank:
            sizes = tuple(call.size(value, axis) for axis in range(1, len(value.shape)))
            shape = (1,) * (rank - len(value.shape)) + sizes
            call.rewrite(f"input {place} of rank {len(value.shape)} gets axes of size 1 behind the batch, as in Keras")
            values[place] = call.emit(Reshape(shape), value, part=f"rank{place}")
    return call.emit(ELEMENTWISE[call.class_name](), *values)


@builds("Concatenate")
def concatenate(call: LayerCall) -> Value:
    """``axis`` may count from the end; it is made explicit."""
    axis = call.option("axis", -1)
    if type(axis) is not int:
        call.refuse("axis", "an integer is expected")
    values = call.inputs()
    if len(values) == 1:
        return call.identity(values[0])
    return call.emit(Concatenate(axis % len(values[0].shape)), *values)
