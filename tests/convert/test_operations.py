"""Operations on tensors that no builder can do: each is refused by name, whatever the file says."""

from __future__ import annotations

import time

import numpy as np
import pytest

from keydnn import KerasFileError, KerasInteropError, from_keras
from tests.convert import files

SHAPE = [None, 4, 5]


def tensor(name, number=0):
    history = [name, 0, number]
    return {"class_name": "__keras_tensor__", "config": {"shape": SHAPE, "dtype": "float32", "keras_history": history}}


X = tensor("x")


def model_of(tmp_path, *operations, version="3.7.0"):
    """Write a model of operations (class name, options, arguments, keywords) in a row; ``None`` is the one before."""
    layers = [{"class_name": "InputLayer", "name": "x", "config": {"batch_shape": SHAPE}, "inbound_nodes": []}]
    for place, (class_name, config, args, kwargs) in enumerate(operations):
        before = tensor(layers[-1]["name"])
        node = {"args": [before if item == "before" else item for item in args], "kwargs": kwargs}
        layers.append({"class_name": class_name, "name": f"l{place}", "config": config, "inbound_nodes": [node]})
    outputs = [[layers[-1]["name"], 0, 0]]
    config = {"name": "f", "layers": layers, "input_layers": [["x", 0, 0]], "output_layers": outputs}
    return files.write_h5(tmp_path / "m.h5", {"class_name": "Functional", "config": config}, {}, version)


def test_an_operation_is_computed(tmp_path):
    model = from_keras(model_of(tmp_path, ("Add", {}, [X, 1.5], {}), ("Sqrt", {}, ["before"], {})))
    x = np.ones((2, 4, 5), np.float32)
    np.testing.assert_array_equal(model(x), np.sqrt(x + np.float32(1.5)))


KEY = {"class_name": "__slice__", "config": {"start": 0, "stop": 1, "step": None}}


@pytest.mark.parametrize(
    ("class_name", "config", "args", "words"),
    [
        pytest.param("Reshape", {"newshape": [-1, 5]}, [X], "examples of the batch would be mixed", id="reshape-mixes"),
        pytest.param("Reshape", {"newshape": [4, -1]}, [X], "examples of the batch", id="reshape-to-a-number"),
        pytest.param("Reshape", {"newshape": "4"}, [X], "integers are expected", id="reshape-to-text"),
        pytest.param("Transpose", {"axes": [1, 0, 2]}, [X], "the batch first", id="transpose-batch"),
        pytest.param("Transpose", {}, [X], "the batch first", id="transpose-all"),
        pytest.param("Transpose", {"axes": [0, 1]}, [X], "rank 3 are expected", id="transpose-too-few"),
        pytest.param("Sum", {"axis": None}, [X], "the batch axis", id="sum-of-all"),
        pytest.param("Sum", {"axis": [0, 1]}, [X], "the batch axis", id="sum-of-the-batch"),
        pytest.param("Sum", {"axis": 3}, [X], "rank 3 is expected", id="sum-beyond"),
        pytest.param("Sum", {"axis": [1, -2]}, [X], "an axis twice", id="sum-twice"),
        pytest.param("Mean", {"axis": 1, "where": 1}, [X], "an option that KeyDNN does not know", id="new-option"),
        pytest.param("Max", {"axis": 1, "initial": 0.5}, [X], "initial", id="max-initial"),
        pytest.param("Norm", {"axis": 1, "ord": 3}, [X], "ord=3", id="norm-3"),
        pytest.param("Concatenate", {"axis": 0}, [[X, X]], "the batch axis", id="concatenate-batch"),
        pytest.param("Stack", {"axis": 0}, [[X, X]], "the batch axis", id="stack-batch"),
        pytest.param("ExpandDims", {"axis": 0}, [X], "the batch axis", id="expand-batch"),
        pytest.param("Tile", {"repeats": [2, 1, 1]}, [X], "repeats of the batch", id="tile-batch"),
        pytest.param("Pad", {"pad_width": [[1, 0], [0, 0], [0, 0]]}, [X], "0 for the batch", id="pad-batch"),
        pytest.param("Pad", {"pad_width": [[0, 0]], "mode": "edge"}, [X], "mode", id="pad-mode"),
        pytest.param("Split", {"indices_or_sections": 3, "axis": 1}, [X], "3 equal parts", id="split-unequal"),
        pytest.param("Flip", {"axis": None}, [X], "the batch axis", id="flip-all"),
        pytest.param("GetItem", {}, [X, 0], "leave the batch as it is", id="get-an-example"),
        pytest.param("GetItem", {}, [X, [KEY]], "leave the batch as it is", id="get-some-examples"),
        pytest.param("GetItem", {}, [X, [None]], "leave the batch as it is", id="get-a-new-first-axis"),
        pytest.param("GetItem", {}, [X, [1.5]], "integers, slices, None", id="get-a-fraction"),
        pytest.param("GetItem", {}, [X, [KEY, 0, 0, 0]], "integers, slices, None", id="get-too-much"),
        pytest.param("GetItem", {}, [X, X], "a tensor as key", id="get-by-tensor"),
        pytest.param("Take", {"axis": 1}, [X, X], "places that are a tensor", id="take-by-tensor"),
        pytest.param("Add", {}, [X], "called without x2", id="no-second-operand"),
        pytest.param("Add", {}, [X, [1, None]], "neither a tensor nor a number", id="operand-with-none"),
        pytest.param("Add", {}, [X, "1"], "neither a tensor nor a number", id="operand-text"),
        pytest.param("Add", {}, [X, [[1.0], [2.0, 3.0]]], "neither a tensor nor a number", id="operand-ragged"),
        pytest.param("Add", {}, [X, [[[[1.0, 2.0]]]]], "leave the batch as it is", id="operand-of-more-axes"),
        pytest.param("Add", {}, [X, [[[1.0]], [[2.0]]]], "leave the batch as it is", id="operand-with-a-batch"),
        pytest.param("Add", {}, [X, []], "leave the batch as it is", id="operand-of-nothing"),
        pytest.param("Tensordot", {"axes": 1}, [X, X], "the batch must stay first", id="tensordot-of-batches"),
        pytest.param("Tensordot", {"axes": [[5], [0]]}, [X, [1.0]], "axes that the operands have not", id="tensordot"),
        pytest.param("Einsum", {"subscripts": "nij->ij"}, [X], "the batch must stay first", id="einsum-sums-batch"),
        pytest.param("Einsum", {"subscripts": "nii->ni"}, [X], "no label stand twice", id="einsum-diagonal"),
        pytest.param("Einsum", {"subscripts": "nij,nij,nij->n"}, [X, X, X], "one or two operands", id="einsum-three"),
        pytest.param("Einsum", {"subscripts": "a" * 99}, [X], "no label stand twice", id="einsum-long"),
        pytest.param("Resize", {"size": [3]}, [X], "2 integers are expected", id="resize-one-size"),
        pytest.param("MaxPool", {"pool_size": [2, 2, 2]}, [X], "1 integers >= 1", id="pool-too-many"),
        pytest.param("Cast", {"dtype": "string"}, [X], "a number type is expected", id="cast-to-text"),
        pytest.param("OneHot", {"num_classes": 5, "sparse": True}, [X], "sparse", id="one-hot-sparse"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(tmp_path, class_name, config, args, words):
    with pytest.raises(KerasInteropError, match=words) as caught:
        from_keras(model_of(tmp_path, (class_name, config, args, {})), strict=False)
    assert f"Unsupported Keras layer: {class_name}" in str(caught.value)


def test_tensors_of_unequal_rank_would_meet_the_batch(tmp_path):
    path = model_of(tmp_path, ("Sum", {"axis": 1}, [X], {}), ("Add", {}, [X, "before"], {}))
    with pytest.raises(KerasInteropError, match="the batch meets another axis"):
        from_keras(path, strict=False)


def test_places_beyond_the_axis_are_an_error(tmp_path):
    for operation in (("GetItem", {}, [X, [{**KEY, "config": {}}, 7]], {}), ("Take", {"axis": 1}, [X, [7]], {})):
        with pytest.raises(KerasFileError, match="axis 1"):
            from_keras(model_of(tmp_path, operation), strict=False)


def shape_then(*operations):
    return [("Shape", {}, [X], {}), *operations, ("Multiply", {}, [X, "before"], {})]


def test_sizes_that_are_known_are_numbers(tmp_path):
    path = model_of(tmp_path, *shape_then(("GetItem", {}, ["before", 2], {}), ("Add", {}, ["before", 2], {})))
    x = np.ones((2, 4, 5), np.float32)
    np.testing.assert_array_equal(from_keras(path)(x), 7 * x)


def test_sizes_that_are_free_are_no_numbers(tmp_path):
    path = model_of(tmp_path, *shape_then(("GetItem", {}, ["before", 0], {}), ("Add", {}, ["before", 2], {})))
    with pytest.raises(KerasInteropError, match="the sizes that 'l2' gives"):
        from_keras(path, strict=False)


@pytest.mark.parametrize("grown", ["squared", "doubled"])
def test_sizes_cannot_be_made_to_grow_without_end(tmp_path, grown):
    operations = []
    for number in range(60):
        both = [tensor(f"l{number}")] * 2
        operations.append(
            ("Multiply", {}, both, {}) if grown == "squared" else ("Concatenate", {"axis": 0}, [both], {})
        )
    path = model_of(tmp_path, *shape_then(*operations))
    start = time.perf_counter()
    with pytest.raises(KerasInteropError, match="Unsupported"):
        from_keras(path, strict=False)
    assert time.perf_counter() - start < 5
