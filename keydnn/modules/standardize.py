"""Standardize: less a mean, divided by a standard deviation."""

from __future__ import annotations

from typing import Any

from jit_kernels.standardize import standardize_f32
from keydnn.modules.base import Array, module, tensor
from keydnn.modules.broadcast import Broadcast


@module
class Standardize(Broadcast):
    """``(x - mean) / std``, with a mean and a standard deviation for each cell of an example.

    What torchvision calls ``Normalize``.

    Parameters
    ----------
    shape
        Sizes behind the batch axis; 1 where one mean and deviation serve the whole axis.
    mean, std
        (*shape).

    Keras source: ``keras.layers.Normalization``.
    """

    shape: Any
    mean: Array | None = tensor()
    std: Array | None = tensor()
    kernel = standardize_f32
