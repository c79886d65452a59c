"""Runs an exported file in the library that it was written for: a program of its own, without keydnn.

``python runner.py LIBRARY FILE INPUTS.npz OUTPUTS.npz``, with absolute paths, reads the inputs ``"0"``, ``"1"``, ...,
writes the outputs under such names, and prints ``keydnn: ran NAME VERSION`` or ``keydnn: missing NAME`` or
``keydnn: failed WHY``.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from typing import Any

Arrays = list[Any]
MARK = "keydnn: "
STATE = "state.npz"  # weights of code that is tried without a .pt


def _torch(file: str, inputs: Arrays) -> Arrays:
    import importlib.util

    import numpy
    import torch

    folder, name = os.path.split(file)
    os.chdir(folder)  # where load finds the weights under the name that it has for them
    spec = importlib.util.spec_from_file_location("exported_model", name)
    if spec is None or spec.loader is None:
        raise ImportError("no code: " + file)
    code = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(code)
    if os.path.exists(STATE):
        with numpy.load(STATE) as stored:
            state = {str(key): torch.from_numpy(stored[f"arr_{place}"]) for place, key in enumerate(stored["names"])}
        torch.save(state, code.load.__defaults__[0])
    model = code.load()
    with torch.no_grad():
        return _several(model(*[torch.from_numpy(array) for array in inputs]))


def _onnx(file: str, inputs: Arrays) -> Arrays:
    import onnxruntime

    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    names = [given.name for given in session.get_inputs()]
    return list(session.run(None, dict(zip(names, inputs))))


def _keras(file: str, inputs: Arrays) -> Arrays:
    import keras

    model = keras.saving.load_model(file, compile=False)
    return _several(model(inputs if len(inputs) > 1 else inputs[0], training=False))


def _several(found: Any) -> Arrays:
    """Give what a model gave as NumPy arrays, in order."""
    import numpy

    if isinstance(found, dict):
        found = list(found.values())
    return [numpy.asarray(array) for array in (found if isinstance(found, (list, tuple)) else [found])]


RUNNERS: dict[str, Callable[[str, Arrays], Arrays]] = {"torch": _torch, "onnxruntime": _onnx, "keras": _keras}


def main(library: str, file: str, inputs: str, outputs: str) -> int:
    """Run a file and give the exit status."""
    try:
        import numpy

        module = __import__(library)
    except ImportError as error:
        print(MARK + "missing " + (error.name or library))
        return 1
    try:
        with numpy.load(inputs) as given:
            arrays = [given[str(place)] for place in range(len(given.files))]
        found = RUNNERS[library](file, arrays)
        numpy.savez(outputs, **{str(place): array for place, array in enumerate(found)})
    except Exception as error:  # whatever a library raises is what its user would see
        print(MARK + "failed " + type(error).__name__ + ": " + " ".join(str(error).split())[:400])
        return 1
    print(MARK + "ran " + library + " " + str(module.__version__))
    return 0


if __name__ == "__main__":
    sys.path[:] = sys.path[1:]  # this folder, whose exporters have the names of the libraries
    sys.exit(main(*sys.argv[1:]))
