"""Operations of Keras 3 on two tensors, or a tensor and a number; ``where``."""

from __future__ import annotations

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.operands import Operand, operands, tensors
from keydnn.convert.build.registry import builds
from keydnn.modules.arithmetic import Binary, Scalar, Where
from keydnn.modules.base import Array, Module
from keydnn.modules.merge import Add, Maximum, Minimum, Multiply, Subtract

OPERATIONS = {
    "ops>Add": "add",
    "ops>Subtract": "subtract",
    "ops>Multiply": "multiply",
    "ops>Divide": "divide",
    "ops>TrueDivide": "divide",
    "ops>DivideNoNan": "divide_no_nan",
    "ops>FloorDivide": "floor_divide",
    "ops>Mod": "remainder",
    "ops>Power": "power",
    "ops>Arctan2": "atan2",
    "ops>SquaredDifference": "squared_difference",
    "ops>Maximum": "maximum",
    "ops>Minimum": "minimum",
    "ops>Equal": "equal",
    "ops>NotEqual": "not_equal",
    "ops>Greater": "greater",
    "ops>GreaterEqual": "greater_equal",
    "ops>Less": "less",
    "ops>LessEqual": "less_equal",
    "ops>LogicalAnd": "logical_and",
    "ops>LogicalOr": "logical_or",
    "ops>LogicalXor": "logical_xor",
}
# Of two tensors these have modules of their own, which layers use too and plans know.
MODULES: dict[str, type[Module]] = {
    "add": Add,
    "subtract": Subtract,
    "multiply": Multiply,
    "maximum": Maximum,
    "minimum": Minimum,
}


@builds(*OPERATIONS)
def binary(call: LayerCall) -> Value:
    """``x1`` and ``x2``: tensors, numbers or arrays."""
    x1, x2 = operands(call, "x1", "x2")
    return combined(call, OPERATIONS[f"ops>{call.class_name}"], x1, x2)


def combined(call: LayerCall, operation: str, x1: Operand, x2: Operand, part: str = "") -> Value:
    """Emit an operation on two operands, one of which is a tensor."""
    for x, other, reverse in ((x1, x2, False), (x2, x1, True)):
        if isinstance(x, Value) and not isinstance(other, Value) and _is_number(other, len(x.shape)):
            return call.emit(Scalar(operation, other.item(), reverse), x, part=part)
    if not isinstance(x1, Value) and not isinstance(x2, Value):
        call.obstacle("called without a tensor", "called with constants only")
        call.stop()
    module = MODULES.get(operation, Binary)
    return call.emit(module(operation) if module is Binary else module(), *tensors(call, [x1, x2]), part=part)


def _is_number(array: Array, rank: int) -> bool:
    """Tell whether an array is one finite number, which does not add axes to a tensor of a rank."""
    return array.size == 1 and array.ndim <= rank and bool(np.isfinite(array).all())


@builds("ops>Where")
def where(call: LayerCall) -> Value:
    """``condition``, ``x1`` and ``x2``: tensors, numbers or arrays."""
    return call.emit(Where(), *tensors(call, operands(call, "condition", "x1", "x2")))
