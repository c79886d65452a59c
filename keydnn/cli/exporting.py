"""The verb that hands models on: export."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from keydnn.arguments import check_target, open_model
from keydnn.errors import UsageError


def export(
    model: Path,
    to: Path,
    input_layout: Literal["", "nhwc", "nchw"] = "",
    check: bool | None = None,
    python: Path | None = None,
    rtol: float = 1e-5,
    architecture: Path | None = None,
) -> None:
    """Write a model for PyTorch, ONNX or Keras 3, and try it there.

    Args:
        model: a checkpoint (model.json), or a Keras file
        to: the file to write: model.pt (and model.py), model.py, model.onnx, model.keras, or weights.h5 by layer name
        input_layout: for PyTorch, the order of axes of image inputs; as in Keras unless given
        check: run the file in its library and compare; done where the library is there; --nocheck does not
        python: a Python that has the library, for the check; this one unless given
        rtol: difference that the check allows, relative to the largest number of an output
        architecture: the JSON file that says what a file of weights only belongs to (Keras' model.to_json())
    """
    from keydnn.export.targets import target_of

    if not rtol > 0:
        raise UsageError("--rtol must be > 0")
    if check is False and python is not None:
        raise UsageError("--python says where to check: it does not go with --nocheck")
    if input_layout and target_of(to).library != "torch":
        raise UsageError("--input-layout is for PyTorch; the others take inputs as Keras does")
    target_of(to)
    check_target(to=to, model=model, architecture=architecture)
    loaded = open_model(model, architecture)
    done = loaded.export(to, input_layout=input_layout or None, check=check, python=python, rtol=rtol)
    print(f"{model} -> {done}")
