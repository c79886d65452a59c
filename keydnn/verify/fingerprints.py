"""The numbers of a layer's weights, whatever their layout: what shows one changed bit, which no output shows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping

import numpy as np

from keydnn.graph import Graph
from keydnn.modules.base import Module
from keydnn.modules.rescale import Affine
from keydnn.modules.standardize import Standardize
from keydnn.verify.recording import Numbers

OF_DEVIATIONS = (Standardize, Affine)  # by which numbers are divided, or multiplied on the way back


def numbers_of(modules: Iterable[Module]) -> Numbers:
    """Count the numbers of modules, and give their SHA-256, sorted by their bits."""
    arrays = [np.ascontiguousarray(array, "<f4").ravel() for module in modules for array in module.tensors().values()]
    bits = np.sort(np.concatenate(arrays).view("<u4")) if arrays else np.empty(0, "<u4")
    return Numbers(int(bits.size), hashlib.sha256(bits.tobytes()).hexdigest())


def changed_weights(graph: Graph, recorded: Mapping[str, Numbers]) -> list[str]:
    """Name the layers whose weights are not the numbers that Keras has.

    It can be told of layers that have as many as Keras: others are made of what Keras stores (a low-rank update is
    added to its kernel, biases are added to each other), and their outputs are all that can be compared.  So it is
    with deviations, which are the roots of Keras' variances.
    """
    modules: dict[str, dict[int, Module]] = {}
    for node in graph.nodes:
        if node.origin is not None and node.origin.layer in recorded:
            modules.setdefault(node.origin.layer, {})[id(node.module)] = node.module
    found = {
        layer: numbers_of(own.values())
        for layer, own in modules.items()
        if not any(isinstance(module, OF_DEVIATIONS) for module in own.values())
    }
    return [layer for layer, own in found.items() if own.count == recorded[layer].count and own != recorded[layer]]
