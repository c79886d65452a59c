"""EinsumDense."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from string import ascii_letters
from typing import Any

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.lora import lora_of, with_lora
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Array, Module, shape_text
from keydnn.modules.constant import Constant
from keydnn.modules.dense import Linear
from keydnn.modules.einsum import Einsum
from keydnn.modules.merge import Add
from keydnn.modules.shape import Permute, Reshape

LABELS = "([A-Za-z]+)"
# The equations that Keras takes, in its order: without an ellipsis, with one on the left, with one on the right.
FORMS = {
    "plain": f"{LABELS},{LABELS}->{LABELS}",
    "left": rf"\.\.\.{LABELS},{LABELS}->\.\.\.{LABELS}",
    "right": rf"{LABELS}\.\.\.,{LABELS}->{LABELS}\.\.\.",
}


@dataclass(frozen=True)
class Equation:
    """Labels of all axes of input, kernel and output, and their sizes."""

    x: str
    kernel: str
    out: str
    sizes: dict[str, int | None]

    @property
    def sums(self) -> str:
        """Labels over which input and kernel are summed."""
        return "".join(label for label in self.x if label in self.kernel and label not in self.out)

    @property
    def kept(self) -> str:
        """Labels that the input alone gives to the output, the batch first."""
        return "".join(label for label in self.x if label in self.out and label not in self.kernel)

    @property
    def new(self) -> str:
        """Labels that the kernel alone gives to the output."""
        return "".join(label for label in self.out if label in self.kernel and label not in self.x)

    @property
    def is_linear(self) -> bool:
        """Whether it is a product of matrices, and a Reshape can make matrices of input and output."""
        is_product = len(self.kept + self.sums) == len(self.x) and len(self.sums + self.new) == len(self.kernel)
        has_rows = len(self.sums) == len(self.new) == 1
        return is_product and (has_rows or [self.sizes[label] for label in self.kept[1:]].count(None) <= 1)

    def width(self, labels: str) -> int:
        """Give the product of sizes of the kernel, which are known."""
        return math.prod(self.sizes[label] or 0 for label in labels)

    def cells(self, *last: int | None) -> tuple[int, ...]:
        """Give the sizes of what is kept, but for the batch, and those of what follows, for a Reshape."""
        sizes = [*(self.sizes[label] for label in self.kept[1:]), *last]
        return tuple(-1 if size is None else size for size in sizes)


@builds("EinsumDense", fused_activation=True)
def einsum_dense(call: LayerCall) -> Value:
    """Linear where it is a product of matrices, with axes moved, joined and split around it; else Einsum."""
    text, axes, target = str(call.option("equation")), call.option("bias_axes"), call.option("output_shape")
    lora = lora_of(call)
    call.ignore("activation")
    form = next((form for form, pattern in FORMS.items() if re.fullmatch(pattern, text)), None)
    if form is None or any(len(set(labels)) < len(labels) for labels in re.findall(LABELS, text)):
        call.refuse("equation", "'abc,cd->abd', '...c,cd->...d' or 'ac...,cd->ad...' is expected, no label twice")
    target = [target] if type(target) is int else target
    if not isinstance(target, list) or not all(size is None or type(size) is int for size in target):
        call.refuse("output_shape", "integers or None are expected")
    x = call.input()
    equation = _equation(call, text, str(form), x, target)
    if not isinstance(axes or "", str) or not set(axes or "") <= set(equation.out[1:]):
        call.refuse("bias_axes", "labels of the output are expected")
        call.stop()
    first = min((equation.out.index(label) for label in axes or ""), default=0)
    shape = tuple(equation.width(label) if label in axes else 1 for label in equation.out[first:]) if axes else None
    kernel, *biases = call.weights(kernel=tuple(equation.width(label) for label in equation.kernel), bias=shape)
    kernel = with_lora(call, "kernel", kernel, lora)
    if not axes:
        return product(call, equation, x, kernel, None, part="")
    bias = biases[0].reshape((1,) * first + biases[0].shape)  # over all axes of the output
    if equation.is_linear and set(axes) <= set(equation.new):
        return product(call, equation, x, kernel, bias, part="")
    y = product(call, equation, x, kernel, None, part="product")
    return call.emit(Add(), y, call.emit(Constant(bias.shape[1:], value=bias[0]), part="bias"))


def _equation(call: LayerCall, text: str, form: str, x: Value, target: Sequence[int | None]) -> Equation:
    """Give the equation with labels for all axes, and the sizes that input and ``output_shape`` say."""
    spec, kernel, result = re.findall(LABELS, text)
    count = len(x.shape) - len(spec)
    fits = count == 0 if form == "plain" else count >= 0
    others = "".join(label for label in ascii_letters if label not in text)[: max(count, 0)]
    left, right = (others, "") if form == "left" else ("", others)
    labels, out = left + spec + right, left + result + right
    own = out[len(left) or 1 :][: len(target)]
    sizes: dict[str, int | None] = dict(zip(labels, x.shape, strict=fits))
    if not fits or labels[0] != out[0] or labels[0] in kernel or len(own) + len(right) + (len(left) or 1) != len(out):
        found = f"an input {shape_text(x.shape)}"
        call.obstacle(f"on {found}", f"equation {text!r} and output_shape={target} do not fit {found}")
        call.stop()
    for label, size in zip(own, target, strict=True):
        if size is not None and sizes.get(label) not in (None, size):
            call.refuse("output_shape", f"axis {label!r} of the input has the size {sizes[label]}")
            call.stop()
        sizes[label] = sizes.get(label) if size is None else size
    unknown = [label for label in kernel if sizes.get(label) is None]
    if unknown or not set(out) <= set(labels + kernel):
        call.refuse("equation", f"the size of {unknown[0]!r} is not fixed" if unknown else "an output axis of its own")
        call.stop()
    return Equation(labels, kernel, out, sizes)


def product(call: LayerCall, equation: Equation, x: Value, kernel: Array, bias: Any, part: str) -> Value:
    """Emit the product; ``bias``, over all axes of the output, is one of new axes only."""
    if not equation.is_linear:
        labels = f"{equation.x},{equation.kernel}->{equation.out}"
        return call.emit(Einsum(labels, kernel.shape, weight=kernel), x, part=part)
    sums, new, kept = equation.sums, equation.new, equation.kept
    inputs, outputs = equation.width(sums), equation.width(new)
    weight = np.transpose(kernel, [equation.kernel.index(label) for label in sums + new]).reshape(inputs, outputs).T
    if bias is not None:
        moved = np.transpose(bias, [equation.out.index(label) for label in kept + new])
        sizes = [equation.width(label) for label in new]
        bias = np.broadcast_to(moved.reshape(moved.shape[len(kept) :]), sizes).reshape(outputs)
    linear = Linear(inputs, outputs, bias is not None, weight=weight, bias=bias)
    steps: list[tuple[str, Module | None]] = [
        ("axes", _permute(equation.x, kept + sums)),
        ("joined", Reshape(equation.cells(inputs)) if len(sums) != 1 else None),
        ("linear", linear),
        ("split", Reshape(equation.cells(*(equation.sizes[label] for label in new))) if len(new) != 1 else None),
        ("moved", _permute(kept + new, equation.out)),
    ]
    *before, (_, last) = [(name, module) for name, module in steps if module is not None]
    for name, module in before:
        x = call.emit(module, x, part=name)
    return call.emit(last, x, part=part)


def _permute(labels: str, wanted: str) -> Permute | None:
    """Give the module that moves axes, None if all are in their place."""
    return None if labels == wanted else Permute(tuple(labels.index(label) for label in wanted))
