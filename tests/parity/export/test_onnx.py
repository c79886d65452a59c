"""Every rule of the exporter to ONNX in onnxruntime, against the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest

from keydnn import from_keras
from keydnn.errors import ExportError
from keydnn.export import onnx as target
from keydnn.export.onnx import to_bytes, translate
from keydnn.export.rules import rules_of
from keydnn.graph import Graph
from keydnn.reference import evaluate
from tests.export.cases import CASES

pytestmark = pytest.mark.parity

DATA = Path(__file__).parents[4] / "shared" / "data"
RULES = rules_of(target)


def session(graph: Graph) -> Any:
    """Load a graph into onnxruntime."""
    return onnxruntime.InferenceSession(to_bytes(translate(graph, "model")), providers=["CPUExecutionProvider"])


def run(graph: Graph, arrays: Any) -> list[np.ndarray]:
    """Give onnxruntime's outputs of a graph."""
    return session(graph).run(None, {given.name: array for given, array in zip(graph.inputs, arrays, strict=True)})


def agree(graph: Graph, arrays: Any, found: list[np.ndarray]) -> None:
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


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    case = CASES[name]
    if type(case.module).__name__ not in RULES:
        with pytest.raises(ExportError, match=type(case.module).__name__):
            translate(case.graph, "model")
        return
    agree(case.graph, case.inputs, run(case.graph, case.inputs))


def test_resnet8_classifies_as_keras_does():
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: real files are not compared")
    with np.load(DATA / "cifar10_test_846.npz", allow_pickle=False) as images:
        x, labels = images["images"].astype(np.float32), images["labels"]
    graph = from_keras(DATA / "models" / "pretrainedResnet.h5", strict=False).graph
    (found,) = run(graph, [x])
    assert (found.argmax(axis=1) == labels.reshape(-1)).sum() == 742
