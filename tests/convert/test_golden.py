"""The models of tests/golden, written by real Kerases, against what those Kerases answered; Keras is not needed."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from keydnn import from_keras, load
from keydnn.modules import HardSigmoid
from tests.within import assert_informative, assert_within, outputs_of

FOLDER = Path(__file__).parents[1] / "golden"
FILES = sorted(path for path in FOLDER.iterdir() if path.suffix in (".h5", ".keras"))
MODELS = pytest.mark.parametrize("path", [pytest.param(path, id=path.stem) for path in FILES])
# The bound is worst-case: it adds up over a model's layers, and LayerNormalization magnifies it.
RELATIVE = 0.01


def recorded(path):
    """Give the inputs, as the model takes them, and the answer by output name or as a list."""
    with np.load(path.with_suffix(".npz")) as file:
        arrays = {key: file[key] for key in file.files}
    if any(key.startswith("x_") for key in arrays):
        inputs = {key[2:]: array for key, array in arrays.items() if key[0] == "x"}
        return inputs, {key[2:]: array for key, array in arrays.items() if key[0] == "y"}
    inputs, answer = ([array for key, array in arrays.items() if key[0] == letter] for letter in "xy")
    return inputs if len(inputs) > 1 else inputs[0], answer


def in_order(value, graph):
    """Give outputs in the order of the graph."""
    if isinstance(value, dict):
        return [value[output.name] for output in graph.outputs]
    return value if isinstance(value, list) else [value]


def bounds_of(model, inputs):
    """Give the outputs in float64, each with the bound of float32's error."""
    if isinstance(inputs, dict):
        inputs = [inputs[given.name] for given in model.graph.inputs]
    return outputs_of(model.graph, inputs if isinstance(inputs, list) else [inputs])


def test_the_folder_holds_what_the_script_writes():
    assert len(FILES) == 27
    assert {path.stem for path in FILES} == {path.stem for path in FOLDER.glob("*.npz")}
    assert sum(path.stat().st_size for path in FOLDER.iterdir() if path.suffix != ".py") < 600_000


@MODELS
def test_the_answer_is_keras_answer(path):
    model = from_keras(path, strict=False)
    inputs, answer = recorded(path)
    found, wanted, bounds = (
        in_order(model(inputs), model.graph),
        in_order(answer, model.graph),
        bounds_of(model, inputs),
    )
    assert len(found) == len(wanted) == len(bounds)
    for keydnn, keras, bounded in zip(found, wanted, bounds, strict=True):
        assert keydnn.shape == keras.shape
        assert_informative(bounded, RELATIVE)
        assert_within(keras, bounded.value, bounded.error)
        assert_within(keydnn, bounded.value, bounded.error)


@MODELS
@pytest.mark.parametrize("weights", ["inline", "sidecar"])
def test_a_checkpoint_gives_the_same_bits(path, weights, tmp_path):
    model = from_keras(path, strict=False)
    inputs, _ = recorded(path)
    model.save(tmp_path / "model.json", weights=weights)
    again = load(tmp_path / "model.json")
    for one, other in zip(in_order(model(inputs), model.graph), in_order(again(inputs), again.graph), strict=True):
        assert one.tobytes() == other.tobytes()


@MODELS
def test_examples_do_not_depend_on_their_batch(path):
    model = from_keras(path, strict=False)
    inputs, _ = recorded(path)
    alone = in_order(model.predict(inputs, batch_size=1), model.graph)
    for one, other, bounded in zip(alone, in_order(model(inputs), model.graph), bounds_of(model, inputs), strict=True):
        assert_within(one, other, 2 * bounded.error)


@pytest.mark.parametrize(
    ("stem", "slope"),
    [
        pytest.param("keras2_sequence_keras", 0.2, id="keras-2"),
        pytest.param("keras2_no_version_h5", 0.2, id="no-version"),
        pytest.param("keras3_sequence_h5", 1.0, id="keras-3"),
    ],
)
def test_hard_sigmoid_is_that_of_the_files_keras(stem, slope):
    (path,) = (path for path in FILES if path.stem == stem)
    modules = [node.module for node in from_keras(path, strict=False).graph.nodes]
    assert [module.slope for module in modules if isinstance(module, HardSigmoid)] == [slope]
