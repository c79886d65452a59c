"""Arguments of calls as files hold them: slices, arrays, constants; what no Keras writes is refused."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.convert.read.nodes import call_of, constant_of
from keydnn.convert.read.record import TensorRef, has_keys, keyed_refs

X = TensorRef("x")


def special(kind, **config):
    return {"class_name": f"__{kind}__", "config": config}


def keras_tensor(layer, call=0, tensor=0):
    return special("keras_tensor", shape=[None, 4], dtype="float32", keras_history=[layer, call, tensor])


def test_keras3_arguments_become_pythons():
    ends = special("slice", start=1, stop=None, step=-2)
    call = call_of({"args": [keras_tensor("x"), [special("ellipsis"), ends, None, 3]], "kwargs": {"y": {"z": 1}}})
    assert call.args == (X, [..., slice(1, None, -2), None, 3])
    assert call.kwargs == {"y": {"z": 1}}


@pytest.mark.parametrize(
    ("value", "dtype"), [([[1, 2]], "int64"), ([0.5, 2], "float32"), ([True], "bool"), (3, "int8")]
)
@pytest.mark.parametrize("kind", ["numpy", "tensor"])
def test_arrays_keep_their_type(kind, value, dtype):
    array = constant_of(special(kind, value=value, dtype=dtype))
    assert array.dtype == dtype
    np.testing.assert_array_equal(array, value)


def test_bfloat16_is_widened():
    assert constant_of(special("numpy", value=[1.5], dtype="bfloat16")).dtype == np.float32


@pytest.mark.parametrize(
    ("value", "words"),
    [
        pytest.param(special("lambda", value="4wEA"), "__lambda__", id="code"),
        pytest.param(special("bytes", value="x"), "__bytes__", id="bytes"),
        pytest.param(special("typespec"), "__typespec__", id="type"),
        pytest.param(special("numpy", value=[1], dtype="object"), "an array of 'object'", id="objects"),
        pytest.param(special("numpy", value=[1], dtype=["float32"]), "an array of", id="a-type-that-is-a-list"),
        pytest.param(special("numpy", value=["a"], dtype="float32"), "holds something else", id="text"),
        pytest.param(special("numpy", value=[1.5], dtype="int32"), "holds something else", id="fractions-as-integers"),
        pytest.param(special("numpy", value=[[1], [1, 2]], dtype="float32"), "same length", id="ragged"),
        pytest.param(special("numpy", value=[{"a": 1}], dtype="float32"), "holds something else", id="object-in-it"),
        pytest.param(special("slice", start="os", stop=1, step=1), "a slice", id="slice-of-text"),
        pytest.param(special("slice", start=True, stop=1, step=1), "a slice", id="slice-of-a-boolean"),
    ],
)
def test_what_is_no_number_is_refused(value, words):
    with pytest.raises(TypeError, match=words):
        call_of({"args": [value], "kwargs": {}})


def test_keras2_keyword_arguments_may_hold_tensors_in_lists():
    call = call_of(["x", 0, 0, {"shape": [["shape", 1, 0], -1], "name": None, "axis": [1, 2]}])
    assert call.args == (X,)
    assert call.kwargs == {"shape": [TensorRef("shape", 1), -1], "name": None, "axis": [1, 2]}


def test_keras2_calls_may_begin_with_a_constant():
    call = call_of(["_CONSTANT_VALUE", -1, 2.5, {"y": ["x", 0, 0]}])
    assert (call.args, call.kwargs) == ((2.5,), {"y": X})


def test_keras2_structures_may_be_nested():
    call = call_of({"b": ["x", 0, 0, {"training": False}], "a": {"c": [["y", 0, 0, {}], ["z", 0, 1, {}]]}})
    (structure,) = call.args
    assert list(keyed_refs(structure)) == [("a/c/0", TensorRef("y")), ("a/c/1", TensorRef("z", 0, 1)), ("b", X)]
    assert call.kwargs == {"training": False}


def test_only_structures_with_an_object_have_keys():
    assert has_keys([X, {"a": X}])
    assert not has_keys([X, [X]])
