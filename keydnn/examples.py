"""Seeded random examples that a graph can be run on."""

from __future__ import annotations

import math

import numpy as np

from keydnn.errors import ShapeError
from keydnn.graph import Graph, Input
from keydnn.modules.base import MAX_ELEMENTS
from keydnn.modules.typed import AnyArray

MAX_RANK = 32  # what every NumPy allows


def random_inputs(graph: Graph, batch: int = 1, free_size: int = 32, seed: int = 0) -> list[AnyArray]:
    """Give seeded random examples, all alike, with ``free_size`` where a size other than the batch is free.

    A batch that the model fixes has the size that it says.  Inputs that modules read which do not take any numbers, ids
    and words, hold what these take.

    Raises
    ------
    ShapeError
        An input is too large for any memory.
    """
    generator = np.random.default_rng(seed)
    made = []
    for given, shape in zip(graph.given, input_sizes(graph, batch, free_size), strict=False):
        if math.prod(shape) > MAX_ELEMENTS:
            raise ShapeError(f"the input {given.name!r} of shape {shape} does not fit into memory")
        try:
            made.append(_example(graph, given, generator, (1, *shape[1:])).repeat(shape[0], axis=0))
        except MemoryError:
            raise ShapeError(f"no memory for the input {given.name!r} of shape {shape}") from None
    return made


def _example(graph: Graph, given: Input, generator: np.random.Generator, shape: tuple[int, ...]) -> AnyArray:
    for node in graph.nodes:
        if given.name in node.inputs:
            example = node.module.example(generator, shape)
            if example is not None:
                return example
    numbers = generator.standard_normal(shape)
    if given.dtype == "string":
        return numbers.round(1).astype(str).astype(object)
    return (100 * numbers).astype(np.int64) if given.dtype == "int64" else numbers.astype(np.float32)


def input_sizes(graph: Graph, batch: int, free_size: int = 32) -> list[tuple[int, ...]]:
    """Give the sizes of the inputs for a batch, unless they fix one, with ``free_size`` where another size is free."""
    free = (batch, *[free_size] * MAX_RANK)
    return [tuple(size or other for size, other in zip(given.shape, free, strict=False)) for given in graph.inputs]
