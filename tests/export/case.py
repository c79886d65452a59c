"""A module with weights and inputs: what an exporter is tried on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from keydnn.graph import Graph, Input, Node, Origin, Output
from keydnn.modules.base import Module

FLOAT, INT, TEXT = "float32", "int64", "string"


@dataclass(frozen=True)
class Case:
    """A module, and the arrays that it is given; ``dtype`` is the inputs' in graphs."""

    module: Module
    inputs: tuple[Any, ...]
    dtype: str = FLOAT

    @property
    def graph(self) -> Graph:
        """A graph of the module alone; the batch is free, other sizes are not."""
        names = [f"x{place}" for place in range(len(self.inputs))]
        shapes = [(None, *np.shape(array)[1:]) for array in self.inputs]
        given = [Input(name, shape, self.dtype) for name, shape in zip(names, shapes, strict=True)]
        read = () if self.module.arity == 0 else tuple(names)
        node = Node("layer", self.module, read, Origin("layer", "Layer"))
        return Graph(given, [node], [Output("layer", "layer")])


def numbers(*shape: int, seed: int = 0) -> np.ndarray:
    """Give normal float32 numbers."""
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def filled(module: Module, seed: int = 1) -> Module:
    """Give a module with random weights; variances and the like, which must be positive, are."""
    random = np.random.default_rng(seed)
    weights = {}
    for name, shape in module.tensor_shapes().items():
        array = random.standard_normal(shape) / max(1.0, np.sqrt(np.prod(shape[1:])))
        weights[name] = np.abs(array) + 0.5 if name in ("running_var", "std") else array
    return module.with_tensors(weights)
