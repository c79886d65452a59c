"""Dropout: an identity at inference, kept so that every Keras layer is seen in the graph.  There is no kernel file."""

from __future__ import annotations

import numpy as np

from keydnn.errors import ParameterError
from keydnn.modules.base import Array, Module, Permutation, Shape, module, number


@module
class Dropout(Module):
    """The input, unchanged, as ``torch.nn.Dropout`` in ``eval`` mode.

    Parameters
    ----------
    p
        Share of elements dropped in training, in [0, 1]; without effect.

    Keras source: ``keras.layers.Dropout`` and its kin, which act in training only.
    """

    p: float = 0.5

    def __post_init__(self) -> None:
        self.set(p=number("p", self.p))
        if not 0 <= self.p <= 1:
            raise ParameterError(f"p must be in [0, 1], got {self.p!r}")
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        return shapes[0]

    def compute(self, *inputs: Array, out: Array) -> None:
        np.copyto(out, inputs[0])

    def permuted(self, permutation: Permutation) -> Module:
        return self
