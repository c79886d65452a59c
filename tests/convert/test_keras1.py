"""Files of Keras 1, which no Keras of today writes or opens: each against the same model in today's words.

The layouts are those of Keras 1.2.2's sources; what its own runs gave is compared in ``test_shared_data.py``.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest

from keydnn import from_keras
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
FIRST, VOLUME = numbers(5, 4, 2, 3), numbers(5, 4, 2, 1, 3)
DEPTH, POINT, DEPTH_FIRST, POINT_FIRST = (
    numbers(2, 2, 4, 2),
    numbers(1, 1, 8, 5),
    numbers(2, 4, 2, 2),
    numbers(5, 8, 1, 1),
)
NORM = {"gamma": numbers(4), "beta": numbers(4), "running_mean": numbers(4), "running_std": abs(numbers(4))}
TODAY_NORM = dict(zip(("gamma", "beta", "moving_mean", "moving_variance"), NORM.values(), strict=True))
LSTM, GRU, RNN = gates("icfo", 4, 3), gates("zrh", 4, 3), {"W": numbers(4, 3), "U": numbers(3, 3), "b": numbers(3)}
BOTH_WAYS = {way: gates("icfo", 4, 3) for way in ("forward", "backward")}
TODAY_WAYS = {way: joined(arrays, "ifco") for way, arrays in BOTH_WAYS.items()}
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
    Case("conv3d-th", (None, 4, 3, 4, 5), ("Convolution3D", {
            "nb_filter": 5, "kernel_dim1": 2, "kernel_dim2": 1, "kernel_dim3": 3, "subsample": [1, 1, 1], **TH}),
         ("Conv3D", {"filters": 5, "kernel_size": [2, 1, 3], **CHANNELS_FIRST}),
         {"W": VOLUME, "b": BIAS}, {"kernel": VOLUME.transpose(2, 3, 4, 1, 0), "bias": BIAS}),
    Case("deconvolution2d-tf", IMAGE, ("Deconvolution2D", {
            **CONV2, **TF, "subsample": [2, 3], "output_shape": [None, 13, 22, 5]}),
         ("Conv2DTranspose", {**TODAY_CONV2, "strides": [2, 3], "output_padding": [1, 1], **CHANNELS_LAST}),
         {"W": FLAT, "b": BIAS}, {"kernel": FLAT.transpose(0, 1, 3, 2), "bias": BIAS}),
    Case("deconvolution2d-same", IMAGE, ("Deconvolution2D", {
            **CONV2, **TF, "subsample": [2, 2], "border_mode": "same", "output_shape": [32, 12, 14, 5]}),
         ("Conv2DTranspose", {**TODAY_CONV2, "strides": [2, 2], "padding": "same", **CHANNELS_LAST}),
         {"W": FLAT, "b": BIAS}, {"kernel": FLAT.transpose(0, 1, 3, 2), "bias": BIAS}),
    Case("deconvolution2d-th", IMAGE_FIRST, ("Deconvolution2D", {
            **CONV2, **TH, "subsample": [2, 2], "output_shape": [None, 5, 12, 15]}),
         ("Conv2DTranspose", {**TODAY_CONV2, "strides": [2, 2], **CHANNELS_FIRST}),
         {"W": FIRST, "b": BIAS}, {"kernel": FIRST.transpose(2, 3, 0, 1), "bias": BIAS}),
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
    Case("bidirectional-lstm", (None, 6, 4), ("Bidirectional", {"merge_mode": "concat", "layer": {
            "class_name": "LSTM", "config": {"name": "lstm", **RECURRENT}}}),
         ("Bidirectional", {"merge_mode": "concat", "layer": {"class_name": "LSTM", "config": {
            "name": "lstm", **TODAY, "recurrent_activation": "hard_sigmoid"}}}),
         {f"{way}_lstm_{name}": array for way, arrays in BOTH_WAYS.items() for name, array in arrays.items()},
         {f"{way}_lstm/{name}": array for way, arrays in TODAY_WAYS.items() for name, array in arrays.items()}),
    Case("time-distributed-dense-in-a-wrapper", (None, 6, 4), ("TimeDistributed", {"layer": {
            "class_name": "Dense", "config": {"name": "d", "output_dim": 3, "bias": True, "init": "uniform"}}}),
         ("TimeDistributed", {"layer": {"class_name": "Dense", "config": {"name": "d", "units": 3}}}), DENSE, KERNEL),
    Case("time-distributed-convolution", (None, 2, *IMAGE_FIRST[1:]), ("TimeDistributed", {"layer": {
            "class_name": "Convolution2D", "config": {"name": "c", **CONV2, **TH}}}),
         ("TimeDistributed", {"layer": {
            "class_name": "Conv2D", "config": {"name": "c", **TODAY_CONV2, **CHANNELS_FIRST}}}),
         {"W": FIRST, "b": BIAS}, {"kernel": FIRST.transpose(2, 3, 1, 0), "bias": BIAS}),
    Case("simple-rnn", (None, 6, 4), ("SimpleRNN", {k: v for k, v in RECURRENT.items() if k != "inner_activation"}),
         ("SimpleRNN", TODAY), RNN, dict(zip(("kernel", "recurrent_kernel", "bias"), RNN.values(), strict=True))),
]  # fmt: skip


def pair(tmp_path, case):
    """Write a case's layer in Keras 1's words and in today's."""
    old = [{"class_name": case.old[0], "config": {"name": "layer", "batch_input_shape": case.shape, **case.old[1]}}]
    new = files.sequential((case.new[0], {"name": "layer", **case.new[1]}), shape=case.shape)
    today = files.write_h5(tmp_path / "new.h5", new, {"layer": {f"{k}:0": v for k, v in case.today.items()}}, "2.2.0")
    return files.write_keras1(tmp_path / "old.h5", old, {"layer": case.stored}), today


@pytest.mark.parametrize("case", [pytest.param(case, id=case.id) for case in CASES])
def test_a_layer_of_keras_1_is_todays_layer(tmp_path, case):
    old, new = (from_keras(path, strict=False) for path in pair(tmp_path, case))
    shape = (2, *(5 if size is None else size for size in case.shape[1:]))
    x = RANDOM.integers(0, 9, shape) if case.old[0] == "Embedding" else numbers(*shape)
    assert old.predict(x).tobytes() == new.predict(x).tobytes()
