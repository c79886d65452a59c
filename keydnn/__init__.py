"""KeyDNN: opens any Keras file without Keras, and runs it on NumPy, Numba and h5py.

>>> from keydnn import from_keras, load
>>> from_keras("model.h5", strict=False).save("model.json")
>>> y = load("model.json").predict(x)
"""

from __future__ import annotations

from keydnn.errors import (
    CheckpointError,
    InputError,
    KerasFileError,
    KerasInteropError,
    KeyDNNError,
    MissingWeightsError,
    ParameterError,
    ShapeError,
)
from keydnn.graph import Graph, Input, Node, Output
from keydnn.model import Model, Sequential, from_keras, load

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "Graph",
    "Input",
    "InputError",
    "KerasFileError",
    "KerasInteropError",
    "KeyDNNError",
    "MissingWeightsError",
    "Model",
    "Node",
    "Output",
    "ParameterError",
    "Sequential",
    "ShapeError",
    "__version__",
    "from_keras",
    "load",
]
