"""Why a layer does not give what Keras gave: known mistakes, each tried on the layer until one explains the numbers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice, permutations
from typing import Any

import numpy as np

from keydnn.errors import KeyDNNError
from keydnn.graph import Landmark, Node
from keydnn.modules.activation import (
    ELU,
    GELU,
    SELU,
    Exponential,
    HardSigmoid,
    LeakyReLU,
    Mish,
    ReLU,
    Sigmoid,
    SiLU,
    Softplus,
    Softsign,
    Tanh,
)
from keydnn.modules.base import Module
from keydnn.modules.softmax import Softmax
from keydnn.modules.typed import AnyArray
from keydnn.reference import RULES, Bounded
from keydnn.reference.bounds import of_any_type
from keydnn.verify.rows import Tolerance, distance, limited

MOST_AXES = 5  # whose orders are tried
MOST_TRIED = 400  # guesses for one layer
MOST_MACS = 50_000_000_000  # multiply-accumulates of all of them together: half a minute
EPSILONS = (1e-3, 1e-5, 1e-6, 1e-7, 1e-12, 1e-4, 1e-2, 0.0)
ACTIVATIONS: Sequence[tuple[Any, dict[str, Any]]] = (
    (ReLU, {}), (Sigmoid, {}), (Tanh, {}), (ReLU, {"max_value": 6.0}), (ELU, {}), (SELU, {}),
    (GELU, {}), (GELU, {"approximate": "tanh"}), (SiLU, {}), (Softplus, {}), (Softsign, {}),
    (HardSigmoid, {"slope": 0.2, "offset": 0.5, "top": 1.0}), (HardSigmoid, {}), (Exponential, {}), (Mish, {}),
    (LeakyReLU, {"negative_slope": 0.3}), (LeakyReLU, {"negative_slope": 0.2}),
    (LeakyReLU, {"negative_slope": 0.01}), (Softmax, {}),
)  # fmt: skip
OPTIONS: Mapping[str, Sequence[Any]] = {  # values that a parameter of a module has been mistaken for
    "eps": EPSILONS,
    "count_include_pad": (True, False),
    "negative_slope": (0.3, 0.2, 0.01, 0.0),
    "alpha": (1.0, 0.3, 0.1),
    "approximate": ("none", "tanh"),
    "max_value": (None, 6.0),
    "go_backwards": (True, False),
    "reset_after": (True, False),
}


@dataclass(frozen=True)
class Stretch:
    """The nodes that a layer became, with what they read.

    Attributes
    ----------
    nodes
        In the order of the graph; more of them than the layer's own do no harm.
    values
        What they read and give, by name; what is read comes from Keras.
    mark
        Where the layer's output is.
    others
        What Keras' layers gave, by name: what the layer might have read instead.
    scale
        The largest number that the layer reads or gives.
    """

    nodes: Sequence[Node]
    values: Mapping[str, Bounded]
    mark: Landmark
    others: Mapping[str, AnyArray]
    scale: float


def guess(stretch: Stretch, wanted: AnyArray, tolerance: Tolerance) -> str:
    """Give the first known mistake that explains what Keras gave, in words; empty if none does."""
    whole, place = stretch, _worst_example(stretch, wanted)
    stretch, one = _of_example(whole, place), wanted[place : place + 1] if wanted.ndim else wanted
    if tolerance.agrees(_tried(partial(_run, _needed(stretch), stretch), stretch), one):
        return ""  # what differs is another example's
    for number, (text, attempt) in enumerate(islice(_attempts(stretch, one), _most(stretch))):
        if tolerance.agrees(_tried(attempt, stretch), one):
            again = next(islice(_attempts(whole, wanted), number, None))  # with all examples
            if again[0] == text and tolerance.agrees(_tried(again[1], whole), wanted):
                return text
    return ""


def _tried(attempt: Callable[[], Bounded], stretch: Stretch) -> Bounded:
    """Give what an attempt gives; nothing of the right shape where it does not fit."""
    try:
        with np.errstate(all="ignore"):
            return limited(attempt(), stretch.scale)
    except (KeyDNNError, ValueError, IndexError, TypeError, KeyError):
        return of_any_type(np.empty((0, 0)))


def _worst_example(stretch: Stretch, wanted: AnyArray) -> int:
    """Give the place of the example that is furthest from what Keras gave."""
    found = _tried(partial(_run, _needed(stretch), stretch), stretch)
    if found.value.shape != wanted.shape or wanted.ndim < 1 or len(wanted) < 2 or wanted.dtype.kind not in "fiub":
        return 0
    apart = distance(found.value, wanted).reshape(len(wanted), -1).max(1, initial=0.0)
    return int(np.argmax(apart))


def _of_example(stretch: Stretch, place: int) -> Stretch:
    """Leave out all examples but one: enough to tell causes apart."""

    def chosen(array: AnyArray) -> AnyArray:
        return array[place : place + 1] if array.ndim and len(array) > place else array

    constants = {node.name for node in stretch.nodes if not node.inputs}
    values = {
        name: value if name in constants else Bounded(chosen(value.value), chosen(value.error))
        for name, value in stretch.values.items()
    }
    return dataclasses.replace(stretch, values=values, others={name: chosen(x) for name, x in stretch.others.items()})


def _most(stretch: Stretch) -> int:
    """Give how many attempts may be made: fewer where each costs much."""
    sizes = {name: value.value.shape for name, value in stretch.values.items()}
    macs = sum(node.module.macs(*(sizes[name] for name in node.inputs)) for node in _needed(stretch))
    return min(MOST_TRIED, MOST_MACS // (100_000 + macs))


Attempt = tuple[str, Callable[[], Bounded]]


def _attempts(stretch: Stretch, wanted: AnyArray) -> Iterator[Attempt]:
    needed = _needed(stretch)
    for node in reversed(needed):
        for text, module in _other_modules(node.module):
            changed = [dataclasses.replace(one, module=module) if one is node else one for one in needed]
            yield f"{text} ({node.name})", partial(_run, changed, stretch)
    yield from _activations(needed, stretch)
    yield from _wiring(needed, stretch)
    yield from _orders(needed, stretch, wanted)


def _needed(stretch: Stretch) -> list[Node]:
    """Give the nodes between what Keras gave and the layer's output."""
    names, kept = {stretch.mark.value}, []
    for node in reversed(stretch.nodes):
        if node.name in names:
            names.update(node.inputs)
            kept.append(node)
    return kept[::-1]


def _run(nodes: Sequence[Node], stretch: Stretch, last: Callable[[Bounded], Bounded] | None = None) -> Bounded:
    """Give the layer's output as changed nodes give it, in Keras' order of axes."""
    own = {node.name for node in nodes}
    values = {name: value for name, value in stretch.values.items() if name not in own}
    for node in nodes:
        values[node.name] = _apply(node.module, *(values[name] for name in node.inputs))
    found = values[nodes[-1].name] if nodes else values[stretch.mark.value]
    if last is not None:
        found = last(found)
    order = stretch.mark.order
    return Bounded(found.value.transpose(order), found.error.transpose(order)) if order else found


def _apply(module: Module, *inputs: Bounded) -> Bounded:
    module.output_shape(*(x.value.shape for x in inputs))  # raises unless they fit
    return RULES[type(module).__name__](module, *inputs)


def _other_modules(module: Module) -> Iterator[tuple[str, Module]]:
    """Give modules that this one may have been mistaken for, each with what is different."""
    for text, changes in _changes(module):
        try:
            yield text, dataclasses.replace(module, **changes)  # type: ignore[type-var]  # modules are dataclasses
        except (KeyDNNError, ValueError, TypeError):
            continue


def _changes(module: Module) -> Iterator[tuple[str, dict[str, Any]]]:
    parameters, tensors = module.parameters(), module.tensors()
    for name, choices in OPTIONS.items():
        for value in choices:
            if name in parameters and parameters[name] != value:
                yield f"{name}={value!r} in place of {parameters[name]!r}", {name: value}
    if isinstance(module, HardSigmoid):
        for version, slope in (("of Keras 2 (0.2 x + 0.5)", 0.2), ("of Keras 3 (x / 6 + 0.5)", 1 / 6)):
            yield f"hard_sigmoid {version}", {"slope": slope, "offset": 0.5, "top": 1.0}
        yield "hard_sigmoid of Keras 3 (relu6(x + 3) / 6)", {"slope": 1.0, "offset": 3.0, "top": 6.0}
    if "dim" in parameters and isinstance(parameters["dim"], int):
        for axis in range(-1, 5):
            if axis not in (0, parameters["dim"]):
                yield f"axis {axis} in place of {parameters['dim']}", {"dim": axis}
    yield from _paddings(parameters)
    yield from _tensors(tensors)


def _paddings(parameters: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give other ways to share out padding."""
    if "padding" not in parameters or "kernel_size" not in parameters:
        return
    given, kernel_size = parameters["padding"], parameters["kernel_size"]
    yield "padding SAME, shared out by the size of the input", {"padding": "same"}
    yield "no padding", {"padding": 0}
    yield "padding of half the kernel on both sides", {"padding": tuple((k // 2, k // 2) for k in kernel_size)}
    yield "padding of the kernel less one in front (causal)", {"padding": tuple((k - 1, 0) for k in kernel_size)}
    if isinstance(given, tuple):
        yield "padding before and after exchanged", {"padding": tuple((after, before) for before, after in given)}
    half = tuple(((k - 1) // 2, k - 1 - (k - 1) // 2) for k in kernel_size)
    yield "padding of stride 1: the odd cell behind", {"padding": half}
    yield "padding of stride 1: the odd cell in front", {"padding": tuple((b, a) for a, b in half)}


def _tensors(tensors: Mapping[str, AnyArray]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Give weights that were mistaken for each other, transposed or mirrored."""
    names = list(tensors)
    for place, one in enumerate(names):
        for other in names[place + 1 :]:
            if tensors[one].shape == tensors[other].shape:
                yield f"{one} and {other} exchanged", {one: tensors[other], other: tensors[one]}
    for name, array in tensors.items():
        for order in _orders_of(array.ndim):
            if array.transpose(order).shape == array.shape and order != tuple(range(array.ndim)):
                yield f"{name} transposed by {order}", {name: np.ascontiguousarray(array.transpose(order))}
        for order in _orders_of(array.ndim):
            if array.ndim > 1 and order != tuple(range(array.ndim)):
                # the numbers were taken in the order of other axes: read row by row in the wrong shape
                sizes = tuple(array.shape[axis] for axis in order)
                back = np.argsort(order)
                mixed = np.ascontiguousarray(array.reshape(sizes).transpose(back))
                yield f"{name} read as if its axes were {order}", {name: mixed}
        if array.ndim > 2:
            axes = tuple(range(2, array.ndim))
            yield f"{name} mirrored, as Theano has it", {name: np.ascontiguousarray(np.flip(array, axes))}


def _activations(needed: Sequence[Node], stretch: Stretch) -> Iterator[Attempt]:
    """Try an activation behind, none where there is one, and another in its place."""
    if len(needed) > 1 and type(needed[-1].module) in {kind for kind, _ in ACTIVATIONS}:
        yield f"no {type(needed[-1].module).__name__} at the end", partial(_run, needed[:-1], stretch)
    axis = stretch.mark.order[-1] if stretch.mark.order else -1
    for kind, options in ACTIVATIONS:
        activate = partial(_apply, kind(**({"dim": axis} if kind is Softmax else options)))
        said = f"{kind.__name__}{f'({options})' if options else ''}"
        yield f"a missing activation: {said}", partial(_run, needed, stretch, activate)
        if len(needed) > 1:
            yield f"another activation: {said}", partial(_run, needed[:-1], stretch, activate)


def _orders_of(rank: int) -> list[tuple[int, ...]]:
    """Give all orders of axes; of very many axes, the one that there is."""
    return list(permutations(range(rank))) if rank <= MOST_AXES else [tuple(range(rank))]


def _wiring(needed: Sequence[Node], stretch: Stretch) -> Iterator[Attempt]:
    """Try the inputs in another order, and what other layers gave in their place."""
    own = {node.name for node in needed}
    for node in needed:
        changed: tuple[str, ...]
        if 1 < len(node.inputs) < 5:
            for changed in list(permutations(node.inputs))[1:]:
                nodes = [dataclasses.replace(one, inputs=changed) if one is node else one for one in needed]
                yield f"{node.name} reads its inputs in another order", partial(_run, nodes, stretch)
        for place, name in enumerate(node.inputs):
            if name in own or name not in stretch.values:
                continue
            wanted = stretch.values[name].value
            for layer, array in stretch.others.items():
                fits = array.dtype.kind == "f" and sorted(array.shape) == sorted(wanted.shape)
                if not fits or layer == stretch.mark.layer:
                    continue
                for order in _orders_of(array.ndim):
                    if array.transpose(order).shape != wanted.shape or order[:1] != (0,):
                        continue
                    other = _with_value(stretch, name, array.transpose(order))
                    yield f"{node.name} reads {layer} as its input {place}", partial(_run, needed, other)


def _with_value(stretch: Stretch, name: str, array: AnyArray) -> Stretch:
    return dataclasses.replace(stretch, values={**stretch.values, name: of_any_type(array)})


def _orders(needed: Sequence[Node], stretch: Stretch, wanted: AnyArray) -> Iterator[Attempt]:
    """Try other orders of the axes of what the layer gives, and of what it reads."""

    def ordered(order: tuple[int, ...]) -> Bounded:
        found = _run(needed, stretch)
        return Bounded(found.value.transpose(order), found.error.transpose(order))

    for order in _orders_of(wanted.ndim):
        if order != tuple(range(wanted.ndim)):
            yield f"the axes of the output in the order {order}", partial(ordered, order)
    own = {node.name for node in needed}
    read = dict.fromkeys(name for node in needed for name in node.inputs if name not in own)
    for name in read:
        value = stretch.values[name].value
        for order in _orders_of(value.ndim):
            if order[:1] == (0,) and order != tuple(range(value.ndim)):
                moved = _with_value(stretch, name, np.ascontiguousarray(value.transpose(order)).reshape(value.shape))
                yield f"{name} read in the order of axes {order}", partial(_run, needed, moved)
