"""Pass: the arrays of Keras 1 under today's names, in today's order of axes, gates joined.

Keras 1 names weights after their layer (``lstm_1_W_i``) or only counts them (``param_0``), so their order counts here.
Source: Keras 1.2.2, ``keras/layers``, and ``tf_keras/src/saving/legacy/hdf5_format.py``.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from keydnn.convert.normalize.keras1 import each_layer
from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import KerasModel, Layer, StoredTensor

Rearrange = Callable[[npt.NDArray[np.generic]], npt.NDArray[np.generic]]

ROLES = {
    "Dense": ("kernel", "bias"),
    "Conv1D": ("kernel", "bias"),
    "Conv2D": ("kernel", "bias"),
    "Conv3D": ("kernel", "bias"),
    "Conv2DTranspose": ("kernel", "bias"),
    "Conv3DTranspose": ("kernel", "bias"),
    "LocallyConnected1D": ("kernel", "bias"),
    "LocallyConnected2D": ("kernel", "bias"),
    "SeparableConv2D": ("depthwise_kernel", "pointwise_kernel", "bias"),
    "BatchNormalization": ("gamma", "beta", "moving_mean", "moving_variance"),  # called running_std, but the variance
    "Embedding": ("embeddings",),
    "PReLU": ("alpha",),
    "ParametricSoftplus": ("alpha", "beta"),
    "SReLU": ("t_left", "a_left", "t_right", "a_right"),
    "MaxoutDense": ("kernel", "bias"),
    "Highway": ("kernel", "carry_kernel", "bias", "carry_bias"),
    "SimpleRNN": ("kernel", "recurrent_kernel", "bias"),
    "GRU": ("kernel", "recurrent_kernel", "bias"),
    "LSTM": ("kernel", "recurrent_kernel", "bias"),
    "ConvLSTM2D": ("kernel", "recurrent_kernel", "bias"),
}
GATES = {"GRU": (0, 1, 2), "LSTM": (0, 2, 1, 3), "ConvLSTM2D": (0, 2, 1, 3)}  # LSTM's were i, c, f, o


def rearrange(model: KerasModel, notes: Notes) -> KerasModel:
    """Name and rearrange the weights of files of Keras 1."""
    return model if model.version >= (2,) else each_layer(model, _rearranged)


def _rearranged(layer: Layer) -> Layer:
    if layer.parts:
        weights = tuple(tensor for part in layer.parts.values() for tensor in part.weights)
        return dataclasses.replace(layer, weights=weights)
    roles = ROLES.get(layer.class_name)
    tensors: Sequence[StoredTensor] = layer.weights
    if roles is None or layer.package or {tensor.role for tensor in tensors} & {*roles}:
        return layer
    gates = GATES.get(layer.class_name, ())
    if gates and len(tensors) == 3 * len(gates):
        tensors = [_joined([_kernel(layer, tensors[3 * gate + kind], kind) for gate in gates]) for kind in range(3)]
    elif layer.class_name == "Highway" and [len(tensor.shape) for tensor in tensors] == [2, 1, 2, 1]:  # Keras 1.0
        tensors = [tensors[place] for place in (0, 2, 1, 3)]
    elif len(tensors) <= len(roles):
        tensors = [_kernel(layer, tensor, place) for place, tensor in enumerate(tensors)]
    else:
        return layer
    named = (dataclasses.replace(tensor, role=role) for tensor, role in zip(tensors, roles, strict=False))
    return dataclasses.replace(layer, weights=tuple(named))


def _joined(tensors: Sequence[StoredTensor]) -> StoredTensor:
    """Give the gates' arrays side by side."""
    *before, last = tensors[0].shape or (0,)
    shape = (*before, last * len(tensors))
    return dataclasses.replace(
        tensors[0], shape=shape, read=lambda: np.concatenate([t.read() for t in tensors], axis=-1)
    )


def _kernel(layer: Layer, tensor: StoredTensor, place: int) -> StoredTensor:
    """Give an array with its axes in today's order."""
    rank, first = len(tensor.shape), layer.config.get("data_format") == "channels_first"
    if layer.class_name == "Conv1D" and rank == 4:
        length, filters = layer.config.get("kernel_size"), layer.config.get("filters")
        if [*tensor.shape[:2]] != [*(length or ()), 1] or tensor.shape[3] != filters:  # Keras 1.1
            tensor = _transposed(tensor, (2, 3, 1, 0))
        return _changed(tensor, (tensor.shape[0], *tensor.shape[2:]), lambda array: array[:, 0])
    if layer.class_name in ("Conv2D", "Conv3D", "ConvLSTM2D", "SeparableConv2D") and first and rank > 1:
        return _transposed(tensor, (*range(2, rank), 1, 0))  # from out, in, height, width
    if layer.class_name in ("Conv2DTranspose", "Conv3DTranspose") and rank > 1:
        spatial = range(2, rank) if first else range(rank - 2)
        return _transposed(tensor, (*spatial, 0, 1) if first else (*spatial, rank - 1, rank - 2))
    return tensor


def _transposed(tensor: StoredTensor, order: Sequence[int]) -> StoredTensor:
    return _changed(tensor, tuple(tensor.shape[axis] for axis in order), lambda array: array.transpose(order))


def _changed(tensor: StoredTensor, shape: tuple[int, ...], change: Rearrange) -> StoredTensor:
    return dataclasses.replace(tensor, shape=shape, read=lambda: change(tensor.read()))
