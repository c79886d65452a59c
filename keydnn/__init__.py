"""KeyDNN: opens any Keras file without Keras, and runs it on NumPy, Numba and h5py.

>>> from keydnn import from_keras, load
>>> from_keras("model.h5", strict=False).save("model.json")
>>> y = load("model.json").predict(x)
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from keydnn.errors import (
    CheckpointError,
    DivergenceError,
    InputError,
    KerasFileError,
    KerasInteropError,
    KeyDNNError,
    MissingArchitectureError,
    MissingWeightsError,
    ParameterError,
    RecordingError,
    ShapeError,
    WeightsMismatchError,
)

if TYPE_CHECKING:  # imported when they are used: numba and NumPy take a fifth of a second
    from keydnn.graph import Graph, Input, Node, Output
    from keydnn.model import Model, Sequential, from_keras, load
    from keydnn.threads import get_num_threads, set_num_threads
    from keydnn.transfer import load_keras_weights

__version__ = "0.1.0"

__all__ = [
    "CheckpointError",
    "DivergenceError",
    "Graph",
    "Input",
    "InputError",
    "KerasFileError",
    "KerasInteropError",
    "KeyDNNError",
    "MissingArchitectureError",
    "MissingWeightsError",
    "Model",
    "Node",
    "Output",
    "ParameterError",
    "RecordingError",
    "Sequential",
    "ShapeError",
    "WeightsMismatchError",
    "__version__",
    "from_keras",
    "get_num_threads",
    "load",
    "load_keras_weights",
    "set_num_threads",
]
_HOMES = {
    "graph": ("Graph", "Input", "Node", "Output"),
    "model": ("Model", "Sequential", "from_keras", "load"),
    "threads": ("get_num_threads", "set_num_threads"),
    "transfer": ("load_keras_weights",),
    "convert": (),
    "modules": (),
}


def __getattr__(name: str) -> Any:
    """Import what is used."""
    for home, names in _HOMES.items():
        if name in (home, *names):
            module = importlib.import_module(f"keydnn.{home}")
            if name == home:
                return module
            globals().update({each: getattr(module, each) for each in names})
            return globals()[name]
    raise AttributeError(f"module 'keydnn' has no attribute {name!r}")


def __dir__() -> list[str]:
    """Name what can be imported."""
    return sorted({*globals(), *__all__})
