"""Embedding: a row of a table for every id."""

from __future__ import annotations

import numpy as np

from jit_kernels.embedding import embedding_f32
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import Array, Module, Shape, flag, integer, module, tensor

MAX_ROWS = 1 << 24  # float32 holds every integer up to here, so any id beyond is out of range, rounded or not


@module
class Embedding(Module):
    """Rows of a table, by their ids: (N, ...) gives (N, ..., embedding_dim), as ``torch.nn.Embedding``.

    Parameters
    ----------
    num_embeddings, embedding_dim
        Rows of the table, at most 2**24, and the size of each.
    negative_ids
        Whether ids from ``-num_embeddings`` to -1 count from the end, as in Keras 3; if not, they are refused.
    weight
        (num_embeddings, embedding_dim).

    Ids are float32; a fraction is cut off.  One that has no row, NaN among them, is a ShapeError.

    Keras source: ``keras.layers.Embedding``.
    """

    num_embeddings: int
    embedding_dim: int
    negative_ids: bool = False
    weight: Array | None = tensor()

    def __post_init__(self) -> None:
        self.set(
            num_embeddings=integer("num_embeddings", self.num_embeddings),
            embedding_dim=integer("embedding_dim", self.embedding_dim),
            negative_ids=flag("negative_ids", self.negative_ids),
        )
        if self.num_embeddings > MAX_ROWS:
            raise ParameterError(f"num_embeddings must be at most {MAX_ROWS}, got {self.num_embeddings}")
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.num_embeddings, self.embedding_dim)}

    def output_shape(self, *shapes: Shape) -> Shape:
        return (*shapes[0], self.embedding_dim)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        embedding_f32(inputs[0].reshape(-1), self.weight, out.reshape(inputs[0].size, self.embedding_dim))

    def example(self, random: np.random.Generator, shape: tuple[int, ...]) -> Array:
        return random.integers(0, self.num_embeddings, shape).astype(np.float32)

    def check_values(self, *inputs: Array) -> None:
        """Raise ShapeError unless every id has a row; NaN, which minimum and maximum pass on, has none."""
        ids = inputs[0].reshape(-1)
        first, end = -self.num_embeddings if self.negative_ids else 0, self.num_embeddings
        if not ids.size or (first - 1 < float(ids.min()) and float(ids.max()) < end):
            return
        wrong = next(float(i) for i in ids if not first - 1 < float(i) < end)
        raise ShapeError(f"{self} takes ids from {first} to {end - 1}, got {wrong:.9g}")
