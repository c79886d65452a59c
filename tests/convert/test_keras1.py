"""Files of Keras 1, which no Keras of today writes or opens: each against the same model in today's words.

The layouts are those of Keras 1.2.2's sources; what its own runs gave is compared in ``test_shared_data.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import h5py
import numpy as np
import pytest

from keydnn import KerasInteropError, from_keras
from keydnn.convert import BUILDERS
from tests.convert import files

RANDOM = np.random.default_rng(7)


def numbers(*shape):
    return RANDOM.standard_normal(shape).astype(np.float32)


def gates(names, inputs, units):
    """Give the weights of a recurrent layer as Keras 1 orders them: W, U, b of each gate."""
    kinds = {"W": (inputs, units), "U": (units, units), "b": (units,)}
    return {f"{kind}_{gate}": numbers(*shape) for gate in names for kind, shape in kinds.items()}


def joined(stored, names):
    """Give kernel, recurrent kernel and bias as Keras 2 has them."""
    kinds = {"kernel": "W", "recurrent_kernel": "U", "bias": "b"}
    return {role: np.concatenate([stored[f"{kind}_{gate}"] for gate in names], -1) for role, kind in kinds.items()}


@dataclass
class Case:
    """A layer of Keras 1 and what it is today; ``{}`` where nothing is stored."""

    id: str
    shape: tuple[int | None, ...]
    old: tuple[str, dict[str, Any]]
    new: tuple[str, dict[str, Any]]
    stored: dict[str, Any] = field(default_factory=dict)
    today: dict[str, Any] = field(default_factory=dict)


DENSE = {"W": numbers(4, 3), "b": numbers(3)}
LONG, LONG_11 = numbers(3, 1, 4, 5), numbers(5, 4, 3, 1)
FLAT, BIAS = numbers(2, 3, 4, 5), numbers(5)
FIRST = numbers(5, 4, 2, 3)
DEPTH, POINT, DEPTH_FIRST, POINT_FIRST = (
    numbers(2, 2, 4, 2),
    numbers(1, 1, 8, 5),
    numbers(2, 4, 2, 2),
    numbers(5, 8, 1, 1),
)
NORM = {"gamma": numbers(4), "beta": numbers(4), "running_mean": numbers(4), "running_std": abs(numbers(4))}
TODAY_NORM = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), NORM.values(), strict=True))
LSTM, GRU, RNN = gates("icfo", 4, 3), gates("zrh", 4, 3), {"W": numbers(4, 3), "U": numbers(3, 3), "b": numbers(3)}
RECURRENT = {
    "output_dim": 3, "init": "glorot_uniform", "inner_init": "orthogonal", "activation": "tanh",
    "return_sequences": True, "inner_activation": "hard_sigmoid", "dropout_W": 0.2, "dropout_U": 0.1,
    "consume_less": "cpu", "unroll": False,
    "W_regularizer": None, "U_regularizer": None, "b_regularizer": None, "input_dim": 4, "input_length": None,
    "go_backwards": False, "stateful": False,
}  # fmt: skip
TODAY = {"units": 3, "activation": "tanh", "return_sequences": True}
CONV1 = {"nb_filter": 5, "filter_length": 3, "init": "glorot_uniform", "border_mode": "same", "subsample_length": 2}
CONV2 = {"nb_filter": 5, "nb_row": 2, "nb_col": 3, "border_mode": "valid", "subsample": [1, 2], "init": "uniform"}
TODAY_CONV2 = {"filters": 5, "kernel_size": [2, 3], "padding": "valid", "strides": [1, 2]}
TH, TF = {"dim_ordering": "th"}, {"dim_ordering": "tf"}
CHANNELS_FIRST, CHANNELS_LAST = {"data_format": "channels_first"}, {"data_format": "channels_last"}
KERNEL = {"kernel": DENSE["W"], "bias": DENSE["b"]}
IMAGE, IMAGE_FIRST = (None, 6, 7, 4), (None, 4, 6, 7)

CASES = [
    Case(
        "dense",
        (None, 4),
        ("Dense", {"output_dim": 3, "bias": True, "init": "uniform", "b_constraint": {"name": "MaxNorm", "m": 0}}),
        ("Dense", {"units": 3, "use_bias": True}),
        DENSE,
        KERNEL,
    ),
    Case(
        "dense-without-bias",
        (None, 4),
        ("Dense", {"output_dim": 3, "bias": False}),
        ("Dense", {"units": 3, "use_bias": False}),
        {"W": DENSE["W"]},
        {"kernel": DENSE["W"]},
    ),
    Case(
        "weights-that-are-only-counted",
        (None, 4),
        ("Dense", {"output_dim": 3}),
        ("Dense", {"units": 3}),
        {"param_0": DENSE["W"], "param_1": DENSE["b"]},
        KERNEL,
    ),
    Case(
        "time-distributed-dense",
        (None, 6, 4),
        ("TimeDistributedDense", {"output_dim": 3, "activation": "softmax", "input_length": None}),
        ("Dense", {"units": 3, "activation": "softmax"}),
        DENSE,
        KERNEL,
    ),
    Case("dropout", (None, 4), ("Dropout", {"p": 0.25}), ("Dropout", {"rate": 0.25})),
    Case("noise", (None, 4), ("GaussianNoise", {"sigma": 0.5}), ("GaussianNoise", {"stddev": 0.5})),
    Case("gaussian-dropout", (None, 4), ("GaussianDropout", {"p": 0.5}), ("GaussianDropout", {"rate": 0.5})),
    Case("leaky", (None, 4), ("LeakyReLU", {"alpha": 0.25}), ("LeakyReLU", {"negative_slope": 0.25})),
    Case(
        "embedding",
        (None, 4),
        ("Embedding", {"input_dim": 9, "output_dim": 3, "init": "uniform", "mask_zero": False, "dropout": 0.5}),
        ("Embedding", {"input_dim": 9, "output_dim": 3}),
        {"W": (table := numbers(9, 3))},
        {"embeddings": table},
    ),
    Case(
        "batch-normalization-whose-running-std-is-the-variance",
        (None, 4),
        ("BatchNormalization", {"mode": 0, "axis": -1, "epsilon": 0.01, "momentum": 0.99, "gamma_regularizer": None}),
        ("BatchNormalization", {"axis": -1, "epsilon": 0.01}),
        NORM,
        TODAY_NORM,
    ),
    Case(
        "conv1d",
        (None, 9, 4),
        ("Convolution1D", {**CONV1, "bias": True}),
        ("Conv1D", {"filters": 5, "kernel_size": [3], "padding": "same", "strides": [2]}),
        {"W": LONG, "b": BIAS},
        {"kernel": LONG[:, 0], "bias": BIAS},
    ),
    Case(
        "conv1d-of-keras-1-1",
        (None, 9, 4),
        ("Convolution1D", {**CONV1, "bias": True}),
        ("Conv1D", {"filters": 5, "kernel_size": [3], "padding": "same", "strides": [2]}),
        {"W": LONG_11, "b": BIAS},
        {"kernel": LONG_11.transpose(2, 3, 1, 0)[:, 0], "bias": BIAS},
    ),
    Case(
        "atrous-conv1d",
        (None, 9, 4),
        ("AtrousConvolution1D", {**CONV1, "subsample_length": 1, "atrous_rate": 2}),
        ("Conv1D", {"filters": 5, "kernel_size": [3], "padding": "same", "dilation_rate": [2]}),
        {"W": LONG, "b": BIAS},
        {"kernel": LONG[:, 0], "bias": BIAS},
    ),
    Case(
        "conv2d-tf",
        IMAGE,
        ("Convolution2D", {**CONV2, **TF, "activation": "relu"}),
        ("Conv2D", {**TODAY_CONV2, **CHANNELS_LAST, "activation": "relu"}),
        {"W": FLAT, "b": BIAS},
        {"kernel": FLAT, "bias": BIAS},
    ),
    Case(
        "conv2d-th",
        IMAGE_FIRST,
        ("Convolution2D", {**CONV2, **TH}),
        ("Conv2D", {**TODAY_CONV2, **CHANNELS_FIRST}),
        {"W": FIRST, "b": BIAS},
        {"kernel": FIRST.transpose(2, 3, 1, 0), "bias": BIAS},
    ),
    Case(
        "atrous-conv2d",
        IMAGE,
        ("AtrousConvolution2D", {**CONV2, **TF, "subsample": [1, 1], "atrous_rate": [2, 1]}),
        ("Conv2D", {**TODAY_CONV2, **CHANNELS_LAST, "strides": [1, 1], "dilation_rate": [2, 1]}),
        {"W": FLAT, "b": BIAS},
        {"kernel": FLAT, "bias": BIAS},
    ),
    Case(
        "separable-conv2d-tf",
        IMAGE,
        ("SeparableConvolution2D", {**CONV2, **TF, "nb_col": 2, "depth_multiplier": 2, "subsample": [1, 1]}),
        ("SeparableConv2D", {"filters": 5, "kernel_size": [2, 2], "depth_multiplier": 2, **CHANNELS_LAST}),
        {"depthwise_kernel": DEPTH, "pointwise_kernel": POINT, "b": BIAS},
        {"depthwise_kernel": DEPTH, "pointwise_kernel": POINT, "bias": BIAS},
    ),
    Case(
        "separable-conv2d-th",
        IMAGE_FIRST,
        ("SeparableConvolution2D", {**CONV2, **TH, "nb_col": 2, "depth_multiplier": 2, "subsample": [1, 1]}),
        ("SeparableConv2D", {"filters": 5, "kernel_size": [2, 2], "depth_multiplier": 2, **CHANNELS_FIRST}),
        {"param_0": DEPTH_FIRST, "param_1": POINT_FIRST, "param_2": BIAS},
        {
            "depthwise_kernel": DEPTH_FIRST.transpose(2, 3, 1, 0),
            "pointwise_kernel": POINT_FIRST.transpose(2, 3, 1, 0),
            "bias": BIAS,
        },
    ),
    Case("max-pooling1d", (None, 9, 4), ("MaxPooling1D", {"pool_length": 2, "stride": 3, "border_mode": "valid"}),
         ("MaxPooling1D", {"pool_size": [2], "strides": [3]})),
    Case("average-pooling1d", (None, 9, 4), ("AveragePooling1D", {"pool_length": 2, "stride": None}),
         ("AveragePooling1D", {"pool_size": [2]})),
    Case("max-pooling2d", IMAGE_FIRST,
         ("MaxPooling2D", {"pool_size": [2, 3], "strides": [1, 2], "border_mode": "same", **TH}),
         ("MaxPooling2D", {"pool_size": [2, 3], "strides": [1, 2], "padding": "same", **CHANNELS_FIRST})),
    Case("global-pooling2d", IMAGE_FIRST, ("GlobalAveragePooling2D", TH), ("GlobalAveragePooling2D", CHANNELS_FIRST)),
    Case("up-sampling2d", IMAGE_FIRST, ("UpSampling2D", {"size": [2, 1], **TH}),
         ("UpSampling2D", {"size": [2, 1], **CHANNELS_FIRST})),
    Case("cropping2d", IMAGE, ("Cropping2D", {"cropping": [[1, 0], [2, 1]], **TF}),
         ("Cropping2D", {"cropping": [[1, 0], [2, 1]], **CHANNELS_LAST})),
    Case("zero-padding2d", IMAGE, ("ZeroPadding2D", {"padding": [1, 2], **TF}),
         ("ZeroPadding2D", {"padding": [[1, 1], [2, 2]], **CHANNELS_LAST})),
    Case("zero-padding2d-of-four", IMAGE, ("ZeroPadding2D", {"padding": [1, 0, 2, 3], **TF}),
         ("ZeroPadding2D", {"padding": [[1, 0], [2, 3]], **CHANNELS_LAST})),
    Case("zero-padding2d-by-name", IMAGE, ("ZeroPadding2D", {"padding": {"top_pad": 1, "right_pad": 2}, **TF}),
         ("ZeroPadding2D", {"padding": [[1, 0], [0, 2]], **CHANNELS_LAST})),
    Case("flatten-of-th-is-not-permuted", IMAGE_FIRST, ("Flatten", {}), ("Flatten", CHANNELS_LAST)),
    Case("lstm-of-twelve-arrays", (None, 6, 4), ("LSTM", {**RECURRENT, "forget_bias_init": "one"}),
         ("LSTM", {**TODAY, "recurrent_activation": "hard_sigmoid"}), LSTM, joined(LSTM, "ifco")),
    Case("gru-of-nine-arrays", (None, 6, 4), ("GRU", RECURRENT),
         ("GRU", {**TODAY, "recurrent_activation": "hard_sigmoid", "reset_after": False}), GRU, joined(GRU, "zrh")),
    Case("lstm-for-the-gpu", (None, 6, 4), ("LSTM", {**RECURRENT, "consume_less": "gpu"}),
         ("LSTM", {**TODAY, "recurrent_activation": "hard_sigmoid"}),
         dict(zip("WUb", joined(LSTM, "ifco").values(), strict=True)), joined(LSTM, "ifco")),
    Case("simple-rnn", (None, 6, 4), ("SimpleRNN", {k: v for k, v in RECURRENT.items() if k != "inner_activation"}),
         ("SimpleRNN", TODAY), RNN, dict(zip(("kernel", "recurrent_kernel", "bias"), RNN.values(), strict=True))),
]  # fmt: skip


def old_model(path, config, weights, version="1.2.2", end=":0"):
    """Write a whole model as Keras 1 did: its layers a bare list, its weights named ``<layer>_W:0``."""
    config = config if isinstance(config, dict) else {"class_name": "Sequential", "config": config}
    named = {layer: {f"{name}{end}": array for name, array in arrays.items()} for layer, arrays in weights.items()}
    files.write_h5(path, config, named, version)
    with h5py.File(path, "a") as file:
        for layer, arrays in named.items():
            group = file[f"model_weights/{layer}"]
            names = [f"{layer}_{name}" for name in arrays]
            for name, array in zip(names, arrays.values(), strict=True):
                group[name] = array
            group.attrs["weight_names"] = np.array([name.encode() for name in names]) if names else np.zeros(0)
    return path


def pair(tmp_path, case):
    """Write a case's layer in Keras 1's words and in today's."""
    old = [{"class_name": case.old[0], "config": {"name": "layer", "batch_input_shape": case.shape, **case.old[1]}}]
    new = files.sequential((case.new[0], {"name": "layer", **case.new[1]}), shape=case.shape)
    today = files.write_h5(tmp_path / "new.h5", new, {"layer": {f"{k}:0": v for k, v in case.today.items()}}, "2.2.0")
    return old_model(tmp_path / "old.h5", old, {"layer": case.stored}), today


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_a_layer_of_keras_1_is_todays_layer(tmp_path, case):
    old, new = (from_keras(path, strict=False) for path in pair(tmp_path, case))
    shape = (2, *(5 if size is None else size for size in case.shape[1:]))
    x = RANDOM.integers(0, 9, shape) if case.old[0] == "Embedding" else numbers(*shape)
    assert old.predict(x).tobytes() == new.predict(x).tobytes()


def dense(name, inputs, units, **options):
    """Give a Dense layer of Keras 1 and its weights."""
    config = {"name": name, "output_dim": units, "bias": True, "init": "uniform", **options}
    return {"class_name": "Dense", "config": config}, {"W": numbers(inputs, units), "b": numbers(units)}


def apply(x, weights):
    return x @ weights["W"] + weights["b"]


# --- Merge ------------------------------------------------------------------------------------------------------------

A, B = numbers(2, 3), numbers(2, 3)
MODES = {
    "sum": A + B,
    "mul": A * B,
    "ave": (A + B) / 2,
    "max": np.maximum(A, B),
    "concat": np.concatenate([A, B], -1),
    "dot": (A * B).sum(-1, keepdims=True),
}


def functional(layers, inputs, outputs):
    config = {"name": "m", "layers": layers, "input_layers": inputs, "output_layers": outputs}
    return {"class_name": "Model", "config": config}


def given(name, *shape):
    config = {"name": name, "batch_input_shape": [None, *shape], "input_dtype": "float32", "sparse": False}
    return {"class_name": "InputLayer", "name": name, "config": config, "inbound_nodes": []}


def merge(mode, **options):
    config = {
        "name": "merge_1", "mode": mode, "mode_type": "raw", "concat_axis": -1, "dot_axes": -1, "arguments": {},
        "output_shape": None, "output_shape_type": "raw", "output_mask": None, "output_mask_type": "raw", **options,
    }  # fmt: skip
    return {"class_name": "Merge", "name": "merge_1", "config": config}


needs_dot = pytest.mark.skipif("Dot" not in BUILDERS, reason="waits for Dot")


@pytest.mark.parametrize("mode", [pytest.param(m, marks=needs_dot if m == "dot" else ()) for m in MODES])
def test_merge_in_a_functional_model(tmp_path, mode):
    layers = [given("a", 3), given("b", 3), {**merge(mode), "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]}]
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    model = from_keras(old_model(tmp_path / "m.h5", config, {"a": {}, "b": {}, "merge_1": {}}))
    np.testing.assert_allclose(model.predict([A, B]), MODES[mode], rtol=1e-6)


@needs_dot
@pytest.mark.parametrize("axes", [1, [1, 1], [[1], [1]]], ids=str)
def test_the_axes_of_a_dot_product_in_all_spellings(tmp_path, axes):
    layers = [
        given("a", 3), given("b", 3), {**merge("dot", dot_axes=axes), "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]},
    ]  # fmt: skip
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    model = from_keras(old_model(tmp_path / "m.h5", config, {"a": {}, "b": {}, "merge_1": {}}))
    np.testing.assert_allclose(model.predict([A, B]), MODES["dot"], rtol=1e-6)


@pytest.mark.parametrize(
    ("changed", "word"),
    [
        pytest.param({"mode": "cos"}, "a mode without successor", id="cos"),
        pytest.param(
            {"mode": "4wEAAA==", "mode_type": "lambda"}, "Python code in the file, which is never run", id="code"
        ),
        pytest.param(
            {"mode": "sum", "mode_type": "function"}, "Python code in the file, which is never run", id="name"
        ),
    ],
)
def test_modes_that_are_refused(tmp_path, changed, word):
    entry = merge("sum")
    entry["config"].update(changed)
    layers = [given("a", 3), given("b", 3), {**entry, "inbound_nodes": [[["a", 0, 0], ["b", 0, 0]]]}]
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    with pytest.raises(KerasInteropError, match=word):
        from_keras(old_model(tmp_path / "m.h5", config, {"a": {}, "b": {}, "merge_1": {}}))


def branches(*sequentials, mode="sum"):
    """Give a Sequential model that begins with a Merge of Sequential models."""
    entry = merge(mode)
    layers = [{"class_name": "Sequential", "config": layers} for layers in sequentials]
    return {"class_name": "Merge", "config": {**entry["config"], "layers": layers}}


@pytest.mark.parametrize("version", ["1.2.2", "2.0.3"])
def test_a_sequential_model_that_begins_with_a_merge_of_sequential_models(tmp_path, version):
    """The weights of all branches lie side by side, and Merge has no group."""
    left, w_left = dense("left", 4, 3, batch_input_shape=[None, 4], activation="linear")
    right, w_right = dense("right", 5, 3, batch_input_shape=[None, 5])
    last, w_last = dense("last", 6, 2)
    if version == "2.0.3":
        for entry in (left, right, last):
            entry["config"]["units"] = entry["config"].pop("output_dim")
            entry["config"]["use_bias"] = entry["config"].pop("bias")
            del entry["config"]["init"]
    stored = {"left": w_left, "right": w_right, "last": w_last}
    config = [branches([left], [right], mode="concat"), last]
    if version == "1.2.2":
        path = old_model(tmp_path / "m.h5", config, stored)
    else:
        today = {k: {"kernel:0": v["W"], "bias:0": v["b"]} for k, v in stored.items()}
        path = files.write_h5(tmp_path / "m.h5", {"class_name": "Sequential", "config": config}, today, version)
    x, y = numbers(2, 4), numbers(2, 5)
    both = np.concatenate([apply(x, w_left), apply(y, w_right)], -1)
    np.testing.assert_allclose(from_keras(path).predict([x, y]), apply(both, w_last), rtol=1e-5, atol=1e-6)


def test_a_layer_that_two_branches_share_is_one_layer(tmp_path):
    shared, weights = dense("shared", 3, 3)
    first, w_first = dense("first", 4, 3, batch_input_shape=[None, 4])
    second, w_second = dense("second", 5, 3, batch_input_shape=[None, 5])
    config = [branches([first, shared], [second, shared, shared])]
    model = from_keras(old_model(tmp_path / "m.h5", config, {"first": w_first, "shared": weights, "second": w_second}))
    x, y = numbers(2, 4), numbers(2, 5)
    wanted = apply(apply(x, w_first), weights) + apply(apply(apply(y, w_second), weights), weights)
    np.testing.assert_allclose(model.predict([x, y]), wanted, rtol=1e-4, atol=1e-5)
    assert set(model.state_dict()) == {
        f"{name}.{kind}" for name in ("first", "shared", "second") for kind in ("weight", "bias")
    }


def test_a_merge_of_merges(tmp_path):
    entries = [dense(name, 4, 3, batch_input_shape=[None, 4]) for name in "abc"]
    stored = dict(zip("abc", (weights for _, weights in entries), strict=True))
    inner = [branches([entries[0][0]], [entries[1][0]], mode="mul")]
    inner[0]["config"]["name"] = "merge_2"
    config = [branches(inner, [entries[2][0]])]
    model = from_keras(old_model(tmp_path / "m.h5", config, stored))
    x = [numbers(2, 4) for _ in range(3)]
    a, b, c = (apply(each, weights) for each, weights in zip(x, stored.values(), strict=True))
    np.testing.assert_allclose(model.predict(x), a * b + c, rtol=1e-5, atol=1e-6)


# --- models -----------------------------------------------------------------------------------------------------------


def test_functional_models_with_shared_layers(tmp_path):
    """Nodes have no keywords, and the class is Model."""
    shared, weights = dense("shared", 3, 3)
    layers = [
        given("a", 3),
        given("b", 3),
        {**shared, "name": "shared", "inbound_nodes": [[["a", 0, 0]], [["b", 0, 0]]]},
        {**merge("mul"), "inbound_nodes": [[["shared", 0, 0], ["shared", 1, 0]]]},
    ]
    config = functional(layers, [["a", 0, 0], ["b", 0, 0]], [["merge_1", 0, 0]])
    model = from_keras(old_model(tmp_path / "m.h5", config, {"a": {}, "b": {}, "shared": weights, "merge_1": {}}))
    np.testing.assert_allclose(model.predict([A, B]), apply(A, weights) * apply(B, weights), rtol=1e-5)


def test_a_nested_model_whose_weights_are_named_after_its_layers(tmp_path):
    """Trainable ones first, then the others; a layer's name may be the beginning of another's."""
    first, w_first = dense("d", 4, 4)
    second, w_second = dense("d_1", 4, 4)
    norm = {"class_name": "BatchNormalization", "config": {"name": "n", "mode": 0, "axis": -1, "epsilon": 0.001}}
    inner = [{**first, "config": {**first["config"], "batch_input_shape": [None, 4]}}, norm, second]
    last, w_last = dense("last", 4, 2)
    entries = [{"class_name": "Sequential", "config": inner}, last]
    path = old_model(tmp_path / "m.h5", entries, {"sequential_1": {}, "last": w_last})
    trained, fixed = dict(list(NORM.items())[:2]), dict(list(NORM.items())[2:])
    with h5py.File(path, "a") as file:
        group = file["model_weights/sequential_1"]
        names = []
        for layer, arrays in (("d", w_first), ("n", trained), ("d_1", w_second), ("n", fixed)):
            for name, array in arrays.items():
                names.append(f"{layer}_{name}:0".encode())
                group[f"{layer}_{name}:0"] = array
        group.attrs["weight_names"] = np.array(names)
    x = numbers(2, 4)
    y = (apply(x, w_first) - NORM["running_mean"]) / np.sqrt(NORM["running_std"] + 0.001) * NORM["gamma"] + NORM["beta"]
    wanted = apply(apply(y, w_second), w_last)
    np.testing.assert_allclose(from_keras(path, strict=False).predict(x), wanted, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", ["Highway", "MaxoutDense", "SReLU"])
def test_layers_without_successor_say_so(tmp_path, name):
    config = [{"class_name": name, "config": {"name": "l", "output_dim": 3, "batch_input_shape": [None, 4]}}]
    with pytest.raises(KerasInteropError, match="a class of Keras 1, which no later Keras has"):
        from_keras(old_model(tmp_path / "m.h5", config, {"l": {}}))


@pytest.mark.parametrize("mode", [1, 2])
def test_batch_normalization_by_the_batch_itself_is_refused(tmp_path, mode):
    entry = {"name": "n", "mode": mode, "axis": -1, "epsilon": 0.01, "batch_input_shape": [None, 4]}
    config = [{"class_name": "BatchNormalization", "config": entry}]
    with pytest.raises(KerasInteropError, match=f"BatchNormalization with mode={mode}"):
        from_keras(old_model(tmp_path / "m.h5", config, {"n": NORM}), strict=False)


def test_hard_sigmoid_is_that_of_keras_1(tmp_path):
    config = [
        {
            "class_name": "Activation",
            "config": {"name": "a", "activation": "hard_sigmoid", "batch_input_shape": [None, 4]},
        }
    ]
    model = from_keras(old_model(tmp_path / "m.h5", config, {"a": {}}))
    np.testing.assert_allclose(model.predict([[-2.75, -1, 1, 2.75]]), [[0, 0.3, 0.7, 1]], atol=1e-7)


def test_layers_before_1_0_are_counted(tmp_path):
    """Keras 0.3: ``nb_layers`` and ``layer_0/param_0``, with the architecture beside it."""
    import json

    first, w_first = dense("dense_1", 4, 3, batch_input_shape=[None, 4])
    second, w_second = dense("dense_2", 3, 2)
    act = {"class_name": "Activation", "config": {"name": "act", "activation": "relu"}}
    with h5py.File(tmp_path / "w.h5", "w") as file:
        file.attrs["nb_layers"] = 3
        for number, arrays in enumerate((w_first, {}, w_second)):
            group = file.create_group(f"layer_{number}")
            group.attrs["nb_params"] = len(arrays)
            for place, array in enumerate(arrays.values()):
                group[f"param_{place}"] = array
    text = json.dumps({"class_name": "Sequential", "config": [first, act, second]})
    x = numbers(2, 4)
    wanted = apply(np.maximum(apply(x, w_first), 0), w_second)
    np.testing.assert_allclose(
        from_keras(tmp_path / "w.h5", architecture=text).predict(x), wanted, rtol=1e-5, atol=1e-6
    )
