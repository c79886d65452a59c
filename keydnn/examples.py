"""Seeded random examples that a graph can be run on."""

from __future__ import annotations

import numpy as np

from keydnn.graph import Graph, Input
from keydnn.modules.typed import AnyArray

MAX_RANK = 32  # what every NumPy allows


def random_inputs(graph: Graph, batch: int = 1, free_size: int = 32, seed: int = 0) -> list[AnyArray]:
    """Give seeded random examples, all alike, with ``free_size`` where a size other than the batch is free.

    A batch that the model fixes has the size that it says.  Inputs that modules read which do not take any numbers, ids
    and words, hold what these take.
    """
    generator = np.random.default_rng(seed)
    sizes = input_sizes(graph, batch, free_size)
    return [
        _example(graph, given, generator, (1, *shape[1:])).repeat(shape[0], axis=0)
        for given, shape in zip(graph.given, sizes, strict=False)
    ]


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
