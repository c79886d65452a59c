"""Every rule of the exporter to Keras in Keras itself, against the reference."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import ExportError
from keydnn.export import keras as target
from keydnn.export.keras import translate
from keydnn.export.rules import rules_of
from keydnn.graph import Graph
from keydnn.reference import evaluate
from tests.export.cases import CASES

pytestmark = pytest.mark.parity

DATA = Path(__file__).parents[4] / "shared" / "data"
RULES = rules_of(target)
REFUSED = {
    "constant-one number": "cannot be an output",
    "constant-an example": "cannot be an output",
}


def opened(content: bytes, folder: Path) -> Any:
    """Open a file in Keras, in safe mode."""
    path = folder / "model.keras"
    path.write_bytes(content)
    return keras.saving.load_model(path)


def run(model: Any, arrays: Any) -> list[np.ndarray]:
    """Give Keras' outputs."""
    found = model(arrays[0] if len(arrays) == 1 else list(arrays))
    return [np.asarray(output) for output in (found if isinstance(found, (list, tuple)) else [found])]


def agree(graph: Graph, arrays: Any, found: list[np.ndarray]) -> None:
    """Fail unless outputs are the reference's, within its bound and 2e-6 of the largest."""
    wanted = evaluate(graph, arrays)
    for output, got in zip(graph.outputs, found, strict=True):
        truth = wanted[output.value]
        assert got.shape == truth.value.shape
        if graph.dtypes[output.value] != "float32":
            np.testing.assert_array_equal(got, truth.value)
            continue
        assert got.dtype == np.float32
        finite = np.isfinite(truth.value)
        np.testing.assert_array_equal(got[~finite], truth.value.astype(np.float32)[~finite])
        largest = np.abs(truth.value[finite]).max(initial=0.0)
        off = np.abs(got[finite].astype(np.float64) - truth.value[finite])
        assert (off <= truth.error[finite] + 2e-6 * largest).all(), f"off by {off.max() / largest} of the largest"


def says_the_truth_about_shapes(document: Any, model: Any) -> None:
    """Fail unless every value has the shape and dtype that the file says."""
    made = {layer.name: layer for layer in model.operations}
    read = [ref for layer in document.ordered for call in layer.calls for ref in call.reads()]
    for ref in [*read, *document.outputs]:
        tensor = made[ref.layer.name]._inbound_nodes[ref.call].output_tensors[0]
        assert (tuple(tensor.shape), tensor.dtype) == (ref.shape, ref.dtype), ref.layer.name


@pytest.mark.parametrize("name", CASES)
def test_case(name, tmp_path):
    case = CASES[name]
    if type(case.module).__name__ not in RULES:
        with pytest.raises(ExportError, match=type(case.module).__name__):
            translate(case.graph, "model")
        return
    if name in REFUSED:
        with pytest.raises(ExportError, match=REFUSED[name]):
            translate(case.graph, "model")
        return
    document = translate(case.graph, "model")
    model = opened(document.archive(), tmp_path)
    says_the_truth_about_shapes(document, model)
    agree(case.graph, case.inputs, run(model, case.inputs))


@pytest.mark.parametrize("name", ["pretrainedResnet", "vww_96", "ad01"])
def test_shared_models_answer_as_the_original_did(name, tmp_path):
    if not DATA.exists():
        pytest.skip(f"{DATA} is absent: real files are not compared")
    graph = from_keras(DATA / "models" / f"{name}.h5", strict=False).graph
    with np.load(DATA / "models" / f"{name}_reference.npz", allow_pickle=False) as stored:
        x, y = stored["x"], stored["y"]
    document = translate(graph, name)
    assert not [layer for layer in document.layers if layer.class_name == "Permute"]
    (found,) = run(opened(document.archive(), tmp_path), [x])
    assert np.abs(found - y).max() <= 1e-5 * np.abs(y).max()
