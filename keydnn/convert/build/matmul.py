"""Products of tensors of Keras 3: matmul, dot, tensordot, einsum."""

from __future__ import annotations

import re
from collections.abc import Sequence
from string import ascii_letters

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.einsum import Equation, product
from keydnn.convert.build.operands import Operand, operands
from keydnn.convert.build.reduce import reduced
from keydnn.convert.build.registry import builds
from keydnn.modules.base import shape_text
from keydnn.modules.matmul import Contract
from keydnn.modules.rearrange import Squeeze
from keydnn.modules.shape import Permute
from keydnn.strict_json import clip

Term = tuple[str, Operand]  # labels of the axes of an operand


@builds("ops>Matmul")
def matmul(call: LayerCall) -> Value:
    """Matrices of the last two axes, axes before them broadcast; a vector in the file is a row or a column."""
    turned = [call.boolean(key, False) for key in ("transpose_a", "transpose_b")]
    for key in ("adjoint_a", "adjoint_b", "a_is_sparse", "b_is_sparse"):
        call.require(key, False)
    call.require("output_type", None)
    x, y = operands(call, "x1", "x2")
    rank = max(len(x.shape), len(y.shape))
    batch = ascii_letters[: max(rank - 2, 0)]
    left, right = _matrix("YZ", x, batch, turned[0], "Z"), _matrix("ZX", y, batch, turned[1], "Z")
    out = batch + "".join(label for label in "YX" if label in left + right)
    return contracted(call, [(left, x), (right, y)], out, broadcast=True)


def _matrix(labels: str, operand: Operand, batch: str, turned: bool, summed: str) -> str:
    """Give the labels of an operand: the last axes of the batch's, and the matrix's."""
    if len(operand.shape) == 1:
        return summed
    extra = len(operand.shape) - 2
    return batch[len(batch) - extra :] + (labels[::-1] if turned else labels)


@builds("ops>Dot")
def dot(call: LayerCall) -> Value:
    """The last axis of the first and the last but one of the second, one of which is in the file."""
    x, y = operands(call, "x1", "x2")
    return _along(call, x, y, [len(x.shape) - 1], [max(len(y.shape) - 2, 0)])


@builds("ops>Tensordot")
def tensordot(call: LayerCall) -> Value:
    """Along axes of a tensor and of an array in the file."""
    axes = call.option("axes", 2)
    x, y = operands(call, "x1", "x2")
    if type(axes) is int and 0 <= axes <= min(len(x.shape), len(y.shape)):
        return _along(call, x, y, list(range(len(x.shape) - axes, len(x.shape))), list(range(axes)))
    pairs = [axis if isinstance(axis, list) else [axis] for axis in axes] if isinstance(axes, list) else []
    flat = [axis for pair in pairs for axis in pair]
    if len(pairs) != 2 or len(pairs[0]) != len(pairs[1]) or any(type(axis) is not int for axis in flat):
        call.refuse("axes", "a number, or axes of each operand are expected")
        call.stop()
    return _along(call, x, y, pairs[0], pairs[1])


def _along(call: LayerCall, x: Operand, y: Operand, of_x: Sequence[int], of_y: Sequence[int]) -> Value:
    """Sum over pairs of axes."""
    first = list(ascii_letters[: len(x.shape)])
    second = list(ascii_letters[len(x.shape) :][: len(y.shape)])
    for one, other in zip(of_x, of_y, strict=True):
        if not -len(first) <= one < len(first) or not -len(second) <= other < len(second):
            call.obstacle(f"along the axes {list(of_x)} and {list(of_y)}", "axes that the operands have not")
            call.stop()
        second[other] = first[one]
    out = [label for label in first + second if (label in first) != (label in second)]
    return contracted(call, [("".join(first), x), ("".join(second), y)], "".join(out))


@builds("ops>Einsum")
def einsum(call: LayerCall) -> Value:
    """Of one or two operands; ``...`` stands for the axes that no letter names."""
    text = str(call.option("subscripts")).replace(" ", "")
    given = [call.operand(f"operand{place}", place) for place in range(text.count(",") + 1)]
    call.inputs()
    found = [operand for operand in given if operand is not None]
    if not re.fullmatch(r"[A-Za-z.,]+(->[A-Za-z.]*)?", text) or len(found) != len(given) or len(found) > 2:
        call.obstacle(f"with {clip(repr(text), 60)}", "an equation of one or two operands, which the file holds")
        call.stop()
    sides, arrow, out = text.partition("->")
    specs = sides.split(",")
    extra = [len(operand.shape) - len(spec.replace("...", "")) for spec, operand in zip(specs, found, strict=True)]
    free = [letter for letter in ascii_letters if letter not in text][: max(0, *extra)]
    letters = [free[len(free) - max(count, 0) :] for count in extra]
    specs = [spec.replace("...", "".join(names)) for spec, names in zip(specs, letters, strict=True)]
    if not arrow:
        everything = "".join(specs)
        own = sorted(label for label in set(everything) if everything.count(label) == 1 and label not in free)
        out = "..." * ("..." in sides) + "".join(own)
    return contracted(call, list(zip(specs, found, strict=True)), out.replace("...", "".join(free)))


def contracted(call: LayerCall, given: Sequence[Term], out: str, *, broadcast: bool = False) -> Value:
    """Emit a sum of products over all labels that the output has not.

    The first label of every tensor is the batch; arrays in the file have it not.
    """
    if broadcast:
        given = [_without_single_cells(call, place, given) for place in range(len(given))]
    tensors = [(labels, x) for labels, x in given if isinstance(x, Value)]
    arrays = [(labels, x) for labels, x in given if not isinstance(x, Value)]
    wrong = any(len(set(labels)) < len(labels) or len(labels) != len(x.shape) for labels, x in given)
    batches = {labels[:1] for labels, _ in tensors} | {out[:1]}
    everything = "".join(labels for labels, _ in given)
    unknown = set(out) - set(everything) or len(set(out)) < len(out)
    if wrong or unknown or len(batches) > 1 or any(out[:1] in labels for labels, _ in arrays) or not tensors:
        shapes = ", ".join(shape_text(x.shape) for _, x in given)
        what = f"{','.join(labels for labels, _ in given)}->{out} of {shapes}"
        call.obstacle(f"with {clip(what, 80)}", f"{clip(what, 80)}: the batch must stay first, no label stand twice")
        call.stop()
    if len(given) == 1:
        return _alone(call, *tensors[0], out)
    given = [_sum_of_alone(call, place, given, out) for place in range(2)]
    tensors = [(labels, x) for labels, x in given if isinstance(x, Value)]
    if len(tensors) == 2:
        (left, x), (right, y) = tensors
        return call.emit(Contract(f"{left},{right}->{out}"), x, y)
    ((labels, x),) = tensors
    ((of_array, array),) = [(names, y) for names, y in given if not isinstance(y, Value)]
    sizes = dict(zip(labels, x.shape, strict=True)) | dict(zip(of_array, array.shape, strict=True))
    return product(call, Equation(labels, of_array, out, sizes), x, array, None, part="")


def _without_single_cells(call: LayerCall, place: int, given: Sequence[Term]) -> Term:
    """Give an operand without the axes of size 1 that another one has with more cells."""
    labels, x = given[place]
    others = {label: size for names, y in given for label, size in zip(names, y.shape, strict=False) if y is not x}
    is_tensor = isinstance(x, Value)
    axes = [
        axis
        for axis, (label, size) in enumerate(zip(labels, x.shape, strict=False))
        if size == 1 and others.get(label, 1) != 1 and (axis or not is_tensor)
    ]
    if not axes:
        return labels, x
    labels = "".join(label for axis, label in enumerate(labels) if axis not in axes)
    if isinstance(x, Value):
        return labels, call.emit(Squeeze(tuple(axes)), x, part=f"squeezed{place}")
    return labels, np.squeeze(x, tuple(axes))


def _sum_of_alone(call: LayerCall, place: int, given: Sequence[Term], out: str) -> Term:
    """Give an operand summed over what it alone has."""
    (labels, x), (others, _) = given[place], given[1 - place]
    axes = tuple(axis for axis, label in enumerate(labels) if label not in out and label not in others)
    if not axes:
        return labels, x
    labels = "".join(label for axis, label in enumerate(labels) if axis not in axes)
    if isinstance(x, Value):
        return labels, reduced(call, "sum", x, axes, False, f"sum{place}")
    return labels, x.sum(axes, dtype=np.float64).astype(np.float32)


def _alone(call: LayerCall, labels: str, x: Value, out: str) -> Value:
    """Sum one tensor over the axes that the output has not, and give the others its order."""
    axes = tuple(axis for axis, label in enumerate(labels) if label not in out)
    kept = "".join(label for label in labels if label in out)
    if axes:
        x = reduced(call, "sum", x, axes, False, "" if kept == out else "sum")
    elif kept == out:
        return call.identity(x)
    return x if kept == out else call.emit(Permute(tuple(kept.index(label) for label in out)), x)
