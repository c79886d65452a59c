"""Graphs in onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import onnxruntime

from keydnn.export.onnx import to_bytes, translate
from keydnn.graph import Graph
from keydnn.modules.typed import as_dtype
from keydnn.reference import evaluate


def session(graph: Graph) -> Any:
    """Load a graph."""
    return onnxruntime.InferenceSession(to_bytes(translate(graph, "model")), providers=["CPUExecutionProvider"])


def named(graph: Graph, arrays: Sequence[Any]) -> dict[str, Any]:
    """Give inputs by their names, of the graph's dtypes."""
    return {given.name: as_dtype(given.dtype, given.name, x) for given, x in zip(graph.inputs, arrays, strict=True)}


def run(graph: Graph, arrays: Sequence[Any], loaded: Any = None) -> list[np.ndarray]:
    """Give the outputs of a graph, the states with them."""
    found: list[np.ndarray] = (loaded or session(graph)).run(None, named(graph, arrays))
    return found


def agree(graph: Graph, arrays: Sequence[Any], found: Sequence[np.ndarray]) -> None:
    """Fail unless outputs are the reference's, within its bound and 2e-6 of the largest."""
    wanted = evaluate(graph, arrays)
    for output, got in zip(graph.outputs, found, strict=True):
        truth = wanted[output.value]
        assert got.shape == truth.value.shape
        if graph.dtypes[output.value] != "float32":
            np.testing.assert_array_equal(got, truth.value)
            continue
        finite = np.isfinite(truth.value)
        np.testing.assert_array_equal(got[~finite], truth.value.astype(np.float32)[~finite])
        largest = np.abs(truth.value[finite]).max(initial=0.0)
        off = np.abs(got[finite].astype(np.float64) - truth.value[finite])
        assert (off <= truth.error[finite] + 2e-6 * largest).all(), f"off by {off.max() / largest} of the largest"


def within(found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], limit: float = 1e-5) -> None:
    """Fail unless outputs are those wanted, within a share of the largest."""
    for got, answer in zip(found, wanted, strict=True):
        assert got.shape == answer.shape
        assert np.abs(got - answer).max() <= limit * np.abs(answer).max()
