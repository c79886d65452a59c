"""A whole graph in float64, with a bound on how far float32 may be off: running error analysis.

Every value is carried with ``error``, a bound on the distance of *any* float32 computation of it from ``value``, by the
rules of Higham, "Accuracy and Stability of Numerical Algorithms" (2nd ed.), sections 3.1 to 3.4: what an operation is
given wrong is passed on (by absolute weights, or by the function itself), and what it rounds is added.  Sums may be in
any order, products may be fused; functions are within ``FUNCTION`` roundings.  So KeyDNN and Keras must both lie within
``error`` of ``value``, and that is what the tests assert.  Nothing here is fitted to results.

Each family of layers has its rules, by module type, in the ``RULES`` of the file of its stem; all files are imported.
"""

from __future__ import annotations

import importlib
import pkgutil

import numpy as np

from tests.oracle.bounds import FUNCTION, TINY, Bounded, assert_informative, exact, gamma, of_any_type

__all__ = ["FUNCTION", "RULES", "TINY", "Bounded", "assert_informative", "evaluate", "exact", "gamma"]

RULES = {}
for _file in sorted(found.name for found in pkgutil.iter_modules(__path__)):
    RULES |= getattr(importlib.import_module(f"{__name__}.{_file}"), "RULES", {})


def evaluate(graph, inputs):
    """Give the outputs of a KeyDNN graph as Bounded, in order; inputs may be Bounded, and states left out."""
    values = {}
    for given, array in zip(graph.inputs, graph.complete(inputs), strict=True):
        made = exact if given.dtype == "float32" else of_any_type
        values[given.name] = array if isinstance(array, Bounded) else made(array)
    for node in graph.nodes:
        rule = RULES[type(node.module).__name__]
        with np.errstate(over="ignore", under="ignore"):
            values[node.name] = rule(node.module, *(values[name] for name in node.inputs))
    return [values[output.value] for output in graph.outputs]
