"""From a model to files for other libraries: written, tried where the library is there, and only then put in place."""

from __future__ import annotations

import contextlib
import io
import keyword
import re
import secrets
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal

import numpy as np

from keydnn.atomic import PREFIX, flush_folder, put, remove_old, replace_file
from keydnn.errors import ExportError, ParameterError
from keydnn.export.runner import STATE
from keydnn.export.trial import Orders, Trial, library_is_here, try_out
from keydnn.graph import Graph
from keydnn.modules.typed import AnyArray

Layout = Literal["nhwc", "nchw"]
Source = Mapping[str, Any]
RTOL = 1e-5
TAKEN = sys.stdlib_module_names | {"numpy", "torch"}  # a torch.py beside a script is what its import torch finds


@dataclass(frozen=True)
class Request:
    """What is to be exported, and how.

    Attributes
    ----------
    graph, name, source
        The model: its graph, its name, where it came from.
    to
        The file to write; its ending says what for.
    input_layout
        The order of axes of image inputs, for PyTorch; None: as the graph has it.
    """

    graph: Graph
    name: str
    source: Source | None
    to: Path
    input_layout: Layout | None = None


@dataclass(frozen=True)
class Files:
    """What is to be written.

    Attributes
    ----------
    contents
        Bytes by file name, all beside each other.
    opened
        The name of the file that the library opens; empty: the one that was asked for.
    orders
        By input: the graph's input transposed by this is what the file takes; absent where it takes the graph's.
    on_trial
        What makes further files that trying it needs, by their names.
    """

    contents: Mapping[str, bytes]
    opened: str = ""
    orders: Orders = field(default_factory=dict)
    on_trial: Mapping[str, Callable[[], bytes]] = field(default_factory=dict)


@dataclass(frozen=True)
class Target:
    """What the ending of a file's name stands for: what people call it, which package runs it, what is written."""

    title: str
    library: str | None
    make: Callable[[Request], Files]


@dataclass(frozen=True)
class Exported:
    """What was written, and what became of trying it.

    Attributes
    ----------
    files
        Paths of the files.
    title
        What they are for: ``"PyTorch"``.
    trial
        What the library computed; None if it was not tried.
    untried
        Why it was not tried; empty if it was.
    """

    files: tuple[Path, ...]
    title: str
    trial: Trial | None
    untried: str

    def __str__(self) -> str:
        """Say it in a line."""
        return f"{', '.join(map(str, self.files))} for {self.title}; {self.trial or f'not tried: {self.untried}'}"


def _pt(request: Request) -> Files:
    from keydnn.export import torch

    code_name = f"{_importable(request.to.stem)}.py"
    code, state, orders = _torch(request, request.to.name)
    return Files({request.to.name: torch.pt_bytes(state), code_name: code}, code_name, orders)


def _py(request: Request) -> Files:
    name, importable = request.to.name, _importable(request.to.stem)
    if importable != request.to.stem:
        why = "would be imported in place of Python's own" if request.to.stem.isidentifier() else "cannot be imported"
        raise ExportError(f"{request.to}: a file of this name {why}; give another, {importable}.py for one")
    code, state, orders = _torch(request, f"{request.to.stem}.pt")
    return Files({name: code}, orders=orders, on_trial={STATE: partial(_npz, state)})


def _npz(state: Mapping[str, AnyArray]) -> bytes:
    """Give what the trial makes a state_dict of, where PyTorch is."""
    file = io.BytesIO()
    np.savez(file, *state.values(), names=np.array(list(state), np.str_))
    return file.getvalue()


def _importable(stem: str) -> str:
    """Give the nearest name under which Python imports a file, and nothing else."""
    found = re.sub(r"\W", "_", stem, flags=re.ASCII)
    if not found.isidentifier():
        return f"model_{found}"
    return f"{found}_model" if keyword.iskeyword(found) or found in TAKEN else found


def _torch(request: Request, weights: str) -> tuple[bytes, Mapping[str, AnyArray], Orders]:
    """Give code, weights, and the order of axes of the inputs."""
    from keydnn.export import torch

    made = torch.translate(
        request.graph, request.name, request.source, input_layout=request.input_layout, weights_file=weights
    )
    ranks = {given.name: len(given.shape) for given in request.graph.inputs} if request.input_layout == "nchw" else {}
    orders = {name: torch.channels_first(rank) for name, rank in ranks.items() if rank in torch.IMAGES}
    return made.code.encode(), made.state, orders


def _onnx(request: Request) -> Files:
    from keydnn.export import onnx

    return Files({request.to.name: onnx.to_bytes(onnx.translate(request.graph, request.name, request.source))})


def _keras(request: Request) -> Files:
    from keydnn.export import keras

    return Files({request.to.name: keras.translate(request.graph, request.name, request.source).archive()})


def _weights(request: Request) -> Files:
    from keydnn.export import keras

    return Files({request.to.name: keras.translate(request.graph, request.name, request.source).legacy_weights()})


TARGETS = {
    ".pt": Target("PyTorch", "torch", _pt),
    ".py": Target("PyTorch, code only", "torch", _py),
    ".onnx": Target("ONNX", "onnxruntime", _onnx),
    ".keras": Target("Keras 3", "keras", _keras),
    ".h5": Target("Keras, weights by layer name", None, _weights),
}


def export(request: Request, *, check: bool | None = None, python: Path | None = None, rtol: float = RTOL) -> Exported:
    """Write a model for another library.

    Parameters
    ----------
    request
        What, and where to.
    check
        Whether to run the file in its library on a seeded example, and to put it in place only if it computes what
        KeyDNN's float64 reference does.  None: if the library is there.
    python
        A Python that has the library, for the check; this one unless given.
    rtol
        Difference allowed, relative to the largest absolute number of an output.

    Raises
    ------
    ExportError
        A module that the target cannot express (all are named), a library that is missing, or that does not take the
        file; a file that cannot be written.
    DivergenceError
        The library computes something else.  What stood in the file's place is untouched then.
    ParameterError
        Arguments that make no sense.
    """
    target = target_of(request.to)
    if request.input_layout is not None and target.library != "torch":
        raise ParameterError(f"input_layout is for PyTorch; {target.title} takes the inputs as Keras does")
    if check is False and python is not None:
        raise ParameterError("python says where to check: it goes with no check=False")
    if not rtol > 0:
        raise ParameterError(f"rtol must be > 0, got {rtol}")
    untried = _why_not(target, check, python)
    made = target.make(request)
    _refuse_others(request.to, made)
    with _beside(request.to) as folder:
        for name, data in made.contents.items():
            replace_file(folder / name, [data], ExportError)
        trial = None
        if not untried and target.library:
            for name, make in made.on_trial.items():
                replace_file(folder / name, [make()], ExportError)
            opened = folder / (made.opened or request.to.name)
            trial = try_out(request.graph, opened, target.library, made.orders, python, rtol)
        for name in made.contents:
            put(folder / name, request.to.with_name(name), ExportError)
    flush_folder(request.to, ExportError)
    return Exported(tuple(request.to.with_name(name) for name in made.contents), target.title, trial, untried)


def target_of(path: Path) -> Target:
    """Give what a file's ending stands for.

    Raises
    ------
    ExportError
        Nothing, or Keras 3 expects another layout of weights under the name.
    """
    if path.name.endswith(".weights.h5"):
        raise ExportError(
            f"{path}: Keras 3 looks for its own layout in .weights.h5; give another name that ends in .h5"
        )
    if path.suffix not in TARGETS:
        endings = ", ".join(f"{ending} ({target.title})" for ending, target in TARGETS.items())
        raise ExportError(f"{path}: the ending says what the file is for: {endings}")
    return TARGETS[path.suffix]


def _refuse_others(path: Path, made: Files) -> None:
    """Refuse to write over a file that was not named, unless it is the same."""
    for name, data in made.contents.items():
        other = path.with_name(name)
        try:
            same = name == path.name or not other.exists() or other.read_bytes() == data
        except OSError:
            same = False
        if not same:
            raise ExportError(
                f"{other} belongs to {path.name}, but is there already and is another file; "
                f"move it away, or give {path.name} another name"
            )


def _why_not(target: Target, check: bool | None, python: Path | None) -> str:
    """Give why a file is not tried; empty if it is."""
    if target.library is None:
        if check or python is not None:
            raise ParameterError("nothing runs weights alone: they cannot be tried; leave out check and python")
        return "nothing runs weights alone"
    if check is False:
        return "as asked"
    if check is None and python is None and not library_is_here(target.library):
        return f"no {target.library} here; install it, or name a Python that has it (--python)"
    return ""


@contextlib.contextmanager
def _beside(path: Path) -> Iterator[Path]:
    """Give a folder of one's own beside a file, and take it away in the end."""
    remove_old(path, f"{PREFIX}{'[0-9a-f]' * 16}")
    folder = path.parent / f"{PREFIX}{secrets.token_hex(8)}"
    try:
        folder.mkdir()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ExportError(f"{path}: cannot be written: {reason}; choose another place") from None
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
