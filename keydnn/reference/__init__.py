"""A whole graph in float64, with a bound on how far float32 may be off: running error analysis.

Every value is carried with ``error``, a bound on the distance of *any* float32 computation of it from ``value``, by the
rules of Higham, "Accuracy and Stability of Numerical Algorithms" (2nd ed.), sections 3.1 to 3.4: what an operation is
given wrong is passed on (by absolute weights, or by the function itself), and what it rounds is added.  Sums may be in
any order, products may be fused; functions are within ``FUNCTION`` roundings.  So KeyDNN and Keras must both lie within
``error`` of ``value``.  Nothing here is fitted to results.

Everything is plain NumPy, written from the operations' definitions, and shares no code with the kernels: of a module,
its attributes and weights are read, nothing is called.  Each family of layers has its rules, by module type, in the
``RULES`` of the file of its stem; all files are imported.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Iterator, Sequence
from typing import TypeVar, cast

import numpy as np
import numpy.typing as npt

from keydnn.errors import ShapeError
from keydnn.graph import Graph, Input, Node
from keydnn.modules.typed import as_dtype
from keydnn.reference.bounds import (
    FUNCTION,
    TINY,
    AnyArray,
    Bounded,
    BoundedRule,
    Rule,
    exact,
    f64,
    gamma,
    of_any_type,
)

__all__ = ["FUNCTION", "RULES", "TINY", "Bounded", "evaluate", "exact", "f64", "gamma", "values", "walk", "walk_values"]

RULES: dict[str, Rule | BoundedRule] = {}
for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    RULES |= getattr(importlib.import_module(f"{__name__}.{_file}"), "RULES", {})

Given = Sequence[npt.ArrayLike | Bounded]
Value = TypeVar("Value")


def evaluate(graph: Graph, inputs: Given) -> dict[str, Bounded]:
    """Give every value of a graph, and how far float32 may be from it.

    Parameters
    ----------
    graph
        Any graph.
    inputs
        One array an input, in order, taken as ``Graph.forward`` takes it; a Bounded where the input itself is off.
        States may be left out, and are zeros then.

    Returns
    -------
    dict from the name of each input and node, in the order of the graph, to its value and bound: float64 arrays of the
    shape that float32 has there (int64 and text as they are).

    Raises
    ------
    ShapeError
        An array of the wrong number, rank, size or type, named by its input.
    """
    return dict(walk(graph, inputs))


def walk(graph: Graph, inputs: Given) -> Iterator[tuple[str, Bounded]]:
    """Give the names and values of :func:`evaluate` one after the other; each is forgotten once nothing reads it."""

    def taken(given: Input, value: npt.ArrayLike | Bounded) -> Bounded:
        return value if isinstance(value, Bounded) else of_any_type(_array(graph, given, value))

    def applied(node: Node, *arrays: Bounded) -> Bounded:
        return RULES[type(node.module).__name__](node.module, *arrays)

    return _walk(graph, inputs, taken, applied)


def values(graph: Graph, inputs: Given) -> dict[str, AnyArray]:
    """Give the values of :func:`evaluate` without their bounds, in less than half the time."""
    return dict(walk_values(graph, inputs))


def walk_values(graph: Graph, inputs: Given) -> Iterator[tuple[str, AnyArray]]:
    """Give the names and values of :func:`values` one after the other; each is forgotten once nothing reads it."""

    def taken(given: Input, value: npt.ArrayLike | Bounded) -> AnyArray:
        return value.value if isinstance(value, Bounded) else _array(graph, given, value)

    def applied(node: Node, *arrays: AnyArray) -> AnyArray:
        rule = RULES[type(node.module).__name__]
        return (rule if isinstance(rule, Rule) else Rule(rule)).value(node.module, *arrays)

    return _walk(graph, inputs, taken, applied)


def _array(graph: Graph, given: Input, value: npt.ArrayLike) -> AnyArray:
    """Give an input as the model reads it: float32 numbers, in float64; int64 numbers; text."""
    array = as_dtype(given.dtype, f"input {given.name!r}", value)
    graph.check(given.name, array, given.shape)
    return f64(array) if given.dtype == "float32" else array


def _walk(
    graph: Graph,
    inputs: Given,
    taken: Callable[[Input, npt.ArrayLike | Bounded], Value],
    applied: Callable[..., Value],
) -> Iterator[tuple[str, Value]]:
    """Apply the rules in the order of the graph."""
    last = {name: place for place, reader in enumerate(graph.nodes) for name in reader.inputs}
    held: dict[str, Value] = {}
    arrays = cast(list[npt.ArrayLike | Bounded], graph.complete(cast(Sequence[npt.ArrayLike], inputs)))
    for given, array in zip(graph.inputs, arrays, strict=True):
        held[given.name] = taken(given, array)
        yield given.name, held[given.name]
    for place, node in enumerate(graph.nodes):
        try:
            with np.errstate(all="ignore"):  # infinities and NaN are values here
                found = applied(node, *(held[name] for name in node.inputs))
        except (ValueError, IndexError) as error:
            raise ShapeError(f"node {node.name!r}: {error}") from error
        if node.name in last:
            held[node.name] = found
        for name in {*node.inputs}:
            if last[name] == place:
                del held[name]
        yield node.name, found
