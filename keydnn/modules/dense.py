"""Linear: every output is a weighted sum of the last axis."""

from __future__ import annotations

import math

import numpy as np

from jit_kernels.dense import linear_f32
from keydnn.errors import ShapeError
from keydnn.modules.base import Array, Module, Shape, flag, integer, module, shape_text, sized, tensor, want_size


@module
class Linear(Module):
    """``x @ weight.T + bias`` over the last axis of (N, ..., in_features), as ``torch.nn.Linear``.

    Parameters
    ----------
    in_features, out_features
        Sizes of the last axis of the input and the output.
    use_bias
        Whether there is a bias (``bias=`` gives its values).
    weight
        (out_features, in_features).
    bias
        (out_features,).

    Keras source: ``keras.layers.Dense``, whose kernel is the weight transposed.
    """

    in_features: int
    out_features: int
    use_bias: bool = True
    weight: Array | None = tensor()
    bias: Array | None = tensor()

    def __post_init__(self) -> None:
        self.set(
            in_features=integer("in_features", self.in_features),
            out_features=integer("out_features", self.out_features),
            use_bias=flag("use_bias", self.use_bias),
        )
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = {"weight": (self.out_features, self.in_features)}
        return shapes | ({"bias": (self.out_features,)} if self.use_bias else {})

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        layout = f"(N, ..., {self.in_features})"
        if len(x) < 2:
            raise ShapeError(f"{self} takes an input {layout}, got {shape_text(x)}")
        want_size(self, x, -1, self.in_features, layout)
        return (*x[:-1], self.out_features)

    def macs(self, *shapes: Shape) -> int:
        return math.prod(sized(self, self.output_shape(*shapes))) * self.in_features

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        rows = math.prod(out.shape[:-1])
        bias = np.zeros(self.out_features, np.float32) if self.bias is None else self.bias
        linear_f32(inputs[0].reshape(rows, self.in_features), self.weight, bias, out.reshape(rows, self.out_features))
