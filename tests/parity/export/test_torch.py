"""Every rule of the exporter to PyTorch in PyTorch, against the reference."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from keydnn import from_keras
from keydnn.errors import ExportError
from keydnn.export import torch as target
from keydnn.export.rules import rules_of
from keydnn.export.torch import Translation, pt_bytes, translate
from keydnn.graph import Graph
from keydnn.reference import evaluate
from tests.export.cases import CASES

pytestmark = pytest.mark.parity

DATA = Path(__file__).parents[4] / "shared" / "data"
RULES = rules_of(target)


def loaded(translation: Translation) -> Any:
    """Give the module that a user has after ``load("model.pt")``."""
    names: dict[str, Any] = {}
    exec(compile(translation.code, "model.py", "exec"), names)
    return names["load"](io.BytesIO(pt_bytes(translation.state)))


def run(translation: Translation, arrays: Any) -> list[np.ndarray]:
    """Give PyTorch's outputs."""
    with torch.inference_mode():
        found = loaded(translation)(*(torch.from_numpy(np.array(array)) for array in arrays))
    return [tensor.numpy() for tensor in (found if isinstance(found, tuple) else (found,))]


def agree(graph: Graph, arrays: Any, found: list[np.ndarray]) -> None:
    """Fail unless outputs are the reference's, within its bound and 2e-6 of the largest."""
    wanted = evaluate(graph, arrays)
    for output, got in zip(graph.outputs, found, strict=True):
        truth = wanted[output.value]
        assert got.shape == truth.value.shape
        assert got.dtype == graph.dtypes[output.value]
        finite = np.isfinite(truth.value)
        np.testing.assert_array_equal(got[~finite], truth.value.astype(got.dtype)[~finite])
        largest = np.abs(truth.value[finite]).max(initial=0.0)
        off = np.abs(got[finite].astype(np.float64) - truth.value[finite])
        assert (off <= truth.error[finite] + 2e-6 * largest).all(), f"off by {off.max() / largest} of the largest"


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    case = CASES[name]
    if type(case.module).__name__ not in RULES or case.dtype == "string":
        with pytest.raises(ExportError, match=type(case.module).__name__ if case.dtype != "string" else "text"):
            translate(case.graph, "model")
        return
    arrays = [np.asarray(array, case.dtype) for array in case.inputs]
    agree(case.graph, arrays, run(translate(case.graph, "model"), arrays))


def test_resnet8_classifies_as_keras_does():
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: real files are not compared")
    with np.load(DATA / "cifar10_test_846.npz", allow_pickle=False) as images:
        x, labels = images["images"].astype(np.float32), images["labels"]
    model = from_keras(DATA / "models" / "pretrainedResnet.h5", strict=False)
    (found,) = run(translate(model.graph, model.name, model.source), [x])
    assert (found.argmax(axis=1) == labels.reshape(-1)).sum() == 742
