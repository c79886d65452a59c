"""Keras 3, tf-keras and TensorFlow's own Keras, seen alike."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import json
import os
import sys
from typing import Any

import numpy as np

from .lines import WAY_OUT, Problem, first_line, say
from .source import architecture_of, refuse_code

LIBRARIES = ("keras", "tf_keras", "tensorflow.keras")


class Library:
    """Keras 3, tf-keras or TensorFlow's own Keras, seen alike."""

    def __init__(self, name: str) -> None:
        if name == "tensorflow.keras":
            self.module = importlib.import_module("tensorflow").keras
        else:
            self.module = importlib.import_module(name)
        self.version = str(getattr(self.module, "__version__", "2"))
        self.is_keras3 = int(self.version.partition(".")[0]) >= 3
        self.name = f"{'tf-keras' if name == 'tf_keras' else name} {self.version}"
        backend = self.module.backend.backend() if self.is_keras3 else "tensorflow"
        self.backend = str(backend)
        self.engine = importlib.import_module("jax" if backend == "jax" else str(backend))
        self.title = f"{self.backend} {getattr(self.engine, '__version__', '')}".strip()

    def tensor(self, array: Any) -> Any:
        """Give an array as Keras' tensor."""
        if self.backend == "tensorflow":
            return self.engine.constant(array)
        return self.module.ops.convert_to_tensor(array)

    def numbers(self, weight: Any) -> Any:
        """Give the numbers of a weight as an array of float32; None if it holds none with fractions."""
        if not hasattr(weight, "shape"):
            return None  # tf-keras counts a vocabulary among the weights
        array = np.asarray(self.module.ops.convert_to_numpy(weight) if self.is_keras3 else weight.numpy())
        return array.astype(np.float32) if "float" in array.dtype.name else None

    def array(self, value: Any) -> Any:
        """Give a tensor as an array and the name of its type; None if it is none, or holds no numbers yet."""
        if self.backend == "tensorflow":
            if not isinstance(value, self.engine.Tensor) or not hasattr(value, "numpy"):
                return None
            array = np.asarray(value.numpy(), object if value.dtype.name == "string" else None)
        elif self.module.ops.is_tensor(value):
            array = np.asarray(self.module.ops.convert_to_numpy(value))
        else:
            return None
        dtype = array.dtype.name
        if array.dtype.kind == "c":
            return None
        if array.dtype.kind == "O":
            texts = [text.decode("utf-8", "replace") for text in array.ravel()]
            return np.array(texts, "U").reshape(array.shape), "string"
        if array.dtype.kind not in "biufU" or (dtype != "float64" and array.dtype.kind == "f"):
            array = array.astype(np.float32)
        return array, dtype

    def inference(self) -> Any:
        """Give what must be around a forward pass."""
        return self.engine.no_grad() if self.backend == "torch" else contextlib.nullcontext()


def choose_backend() -> None:
    """Let Keras 3 run on what is there, unless somebody has said what it is to run on."""
    said = "KERAS_BACKEND" in os.environ or os.path.exists(os.path.expanduser("~/.keras/keras.json"))
    if not said and importlib.util.find_spec("tensorflow") is None:
        found = next((name for name in ("jax", "torch") if importlib.util.find_spec(name)), None)
        if found is not None:
            os.environ["KERAS_BACKEND"] = found


def candidates(version: str) -> list[str]:
    """Give the Kerases that are here and fit the version that wrote a file, the best first.

    What Keras 2 wrote goes to a Keras 2 if there is one: Keras 3 opens some of it and computes something else
    (``hard_sigmoid``, models called twice).
    """
    found = {}
    for name in LIBRARIES[:2]:
        if importlib.util.find_spec(name) is not None:
            found[name] = 2 if name == "tf_keras" else _major(name)
    if not found and importlib.util.find_spec("tensorflow") is not None:
        found["tensorflow.keras"] = 2
    if version.startswith("3"):
        return [name for name in found if found[name] >= 3]
    return sorted(found, key=lambda name: found[name] >= 3)


def _major(name: str) -> int:
    from importlib import metadata

    try:
        return int(metadata.version(name).partition(".")[0])
    except (metadata.PackageNotFoundError, ValueError):
        return 3


def open_model(path: str, wanted: str | None, architecture: str | None = None) -> tuple[Library, Any]:
    """Load a file with the Keras that fits."""
    choose_backend()
    version, config = architecture_of(path, architecture)
    refuse_code(config)
    names = [wanted] if wanted else candidates(version)
    if not names:
        raise Problem(f"{sys.executable} has no Keras{' 3' if version.startswith('3') else ''}; {WAY_OUT}")
    tried = []
    for name in names:
        say("progress", f"loading {name}")
        try:
            library = Library(name)
            say("progress", f"opening {os.path.basename(path)} with {library.name}")
            if architecture is None:
                model = library.module.models.load_model(path, compile=False)
            else:
                model = library.module.models.model_from_json(json.dumps(config))
                model.load_weights(path)
        except Exception as error:
            tried.append(f"{name}: {first_line(error)}")
            continue
        if library.is_keras3 and not version.startswith("3"):
            say("note", f"written by Keras {version}, opened by {library.name}, which may compute something else")
        return library, model
    more = "" if wanted or len(tried) > 1 else "; --keras or --python choose another Keras"
    raise Problem(f"{' | '.join(tried)}{more}")
