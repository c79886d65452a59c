"""What verbs do with the paths and numbers that they are given; everything is imported when it is needed."""

from __future__ import annotations

import dataclasses
import os
import re
import runpy
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

import numpy as np

from keydnn.door import open_regular
from keydnn.errors import ParameterError, ShapeError, UsageError

if TYPE_CHECKING:
    from keydnn.convert import Limits
    from keydnn.model import Model
    from keydnn.modules.typed import AnyArray


class Bytes(int):
    """A number of bytes, which people write as ``4GiB``."""

    UNITS: ClassVar[dict[str, int]] = {"": 1, "KiB": 1 << 10, "MiB": 1 << 20, "GiB": 1 << 30, "TiB": 1 << 40}

    @classmethod
    def read(cls, text: str) -> Bytes:
        """Read a whole number with a unit or without; ValueError for anything else."""
        found = re.fullmatch(r"([0-9]{1,15})([KMGT]iB)?", text, re.ASCII)
        if found is None:
            raise ValueError("a whole number of bytes, KiB, MiB, GiB or TiB")
        return cls(int(found[1]) * cls.UNITS[found[2] or ""])

    def __str__(self) -> str:
        """Write it with the largest unit that leaves a whole number."""
        unit = max((unit for unit, size in self.UNITS.items() if self % size == 0), key=lambda unit: self.UNITS[unit])
        return f"{int(self) // self.UNITS[unit]}{unit}"


MAX_WEIGHTS = Bytes(4 << 30)


def limits_of(max_weights: Bytes, timeout: float) -> Limits:
    """Give the limits of reading a Keras file; UsageError if they make no sense."""
    from keydnn.convert import Limits

    try:
        return Limits(int(max_weights), timeout)
    except ParameterError as error:
        raise UsageError(f"--{error}".replace("_", "-", 1)) from None


def statements_of(texts: Sequence[str]) -> dict[str, str]:
    """Give what Lambdas stand for by their names, from ``name=expression``; UsageError for anything else."""
    found: dict[str, str] = {}
    for text in texts:
        name, _, expression = (part.strip() for part in text.partition("="))
        if not name or not expression:
            raise UsageError(f"--lambda must be a layer's name, = and an expression, as in 'scale=x/255', got {text!r}")
        if name in found:
            raise UsageError(f"--lambda says twice what {name!r} stands for")
        found[name] = expression
    return found


def run_hooks(paths: Sequence[Path]) -> None:
    """Run Python files of the user's own, which register readers of custom layers; UsageError if they fail."""
    for path in paths:
        if path.suffix != ".py":
            raise UsageError(f"--hooks {path}: a Python file (.py) is expected, which is run")
        try:
            runpy.run_path(str(path), run_name=path.stem)
        except Exception as error:
            raise UsageError(f"--hooks {path}: {type(error).__name__}: {error}") from error


def prepare(threads: int | None) -> None:
    """Set the number of threads, and show when kernels are compiled."""
    from keydnn.progress import show_compiling
    from keydnn.threads import set_num_threads

    show_compiling(command=True)
    if threads is not None:
        try:
            set_num_threads(threads)
        except ParameterError as error:
            raise UsageError(f"--threads: {error}") from None


def check_checkpoint(dst: Path) -> None:
    """Refuse a name that is another kind of file's: ``convert *.h5`` would write over the second."""
    if dst.suffix.lower() in (".h5", ".hdf5", ".keras", ".npz", ".npy", ".safetensors"):
        raise UsageError(f"--dst {dst}: is the name of another kind of file; give one that ends in .json")


def refuse_same(**paths: Path | None) -> None:
    """Refuse to write a file over one that is read, or written by the same command."""
    (name, written), *others = paths.items()
    if written is None:
        return
    for other, path in others:
        if path is not None and os.path.abspath(written) == os.path.abspath(path):
            raise UsageError(f"{name} and {other} are both {written}; give {name} another name")


def check_target(**paths: Path | None) -> None:
    """Refuse, before any work, to write a file over one that is read, or where there is no folder."""
    refuse_same(**paths)
    name, written = next(iter(paths.items()))
    if written is not None and not written.parent.is_dir():
        raise UsageError(f"--{name} {written}: there is no folder {written.parent}")


def numbered(paths: Sequence[Path]) -> dict[str, Path]:
    """Name the input files, for messages."""
    return {f"input {place}": path for place, path in enumerate(paths)}


def save_checked(model: Model, dst: Path, weights: Literal["inline", "sidecar"], check: bool) -> None:
    """Write a checkpoint with a check; without one, and saying so, where no example can be made."""
    try:
        model.save(dst, weights, check=check)
    except ShapeError as error:
        print(f"keydnn: {dst} carries no check: {error}", file=sys.stderr)
        model.save(dst, weights)


def write_json(path: Path | None, data: dict[str, Any]) -> None:
    """Write what was found as JSON, if that was asked for, and say so."""
    from keydnn.atomic import replace_file
    from keydnn.errors import InputError
    from keydnn.report.plain import json_text

    if path is not None:
        replace_file(path, [json_text(data).encode()], InputError)
        print(f"written to {path}")


def open_model(
    file: Path,
    architecture: Path | None = None,
    limits: Limits | None = None,
    lambdas: Mapping[str, str] | None = None,
) -> Model:
    """Read a checkpoint, or a Keras file with every rewrite allowed."""
    from keydnn.model import from_keras, load

    if starts_like_json(file):
        return load(file)
    given = {} if limits is None else dataclasses.asdict(limits)
    return from_keras(file, strict=False, architecture=architecture, lambdas=lambdas, **given)


def starts_like_json(file: Path) -> bool:
    """Tell a checkpoint from a Keras file; the index of sharded weights is JSON too."""
    try:
        with open_regular(file, UsageError) as (opened, _):
            head = opened.read(4096).lstrip()
            return head.startswith(b"{") and b'"weight_map"' not in head
    except UsageError:
        return False  # the reader says what is wrong


def print_top(array: np.ndarray[tuple[int, ...], np.dtype[Any]], top: int, most: int = 20) -> None:
    """Print the largest scores of each example, with their places."""
    if array.ndim != 2 or array.dtype != np.float32:
        print(f"--top needs scores of shape (N, classes), not {array.dtype} {array.shape}")
        return
    for example, scores in enumerate(array[:most]):
        best = np.argsort(-scores, kind="stable")[:top]
        print(f"  {example}: " + "  ".join(f"{place} ({scores[place]:.4f})" for place in best))
    if len(array) > most:
        print(f"  ... {len(array) - most} more examples; --output keeps them all")


def file_part(name: str) -> str:
    """Make the name of an output a part of a file's name."""
    return "".join(c if c.isalnum() or c in "-_" else "_" for c in name)


def show_results(names: Sequence[str], arrays: Sequence[AnyArray], output: Path | None, top: int) -> None:
    """Print what a model gives, or the largest scores, or write it: several outputs into a file each."""
    from keydnn.names import Names
    from keydnn.npy import write_npy

    files = Names()
    for name, array in zip(names, arrays, strict=True):
        print(f"{name}: {array.dtype} {array.shape}")
        if output is not None:
            alone = len(arrays) == 1
            path = output if alone else output.with_name(f"{output.stem}.{files.new(file_part(name))}.npy")
            write_npy(path, array)
            print(f"written to {path}")
        if top:
            print_top(array, top)
        elif output is None:
            print(np.array2string(array, threshold=100, edgeitems=3, precision=6, suppress_small=True))


def show_plan(
    file: Path,
    batch_size: int,
    threads: int | None,
    architecture: Path | None,
    limits: Limits,
    lambdas: Mapping[str, str],
) -> None:
    """Print the plan of a checkpoint, or of a Keras file with every rewrite allowed."""
    from keydnn.examples import input_sizes
    from keydnn.plan.stages import Stages
    from keydnn.report.plan import plan_table

    if batch_size < 1:
        raise UsageError("--batch-size must be >= 1")
    prepare(threads)
    model = open_model(file, architecture, limits, lambdas)
    program = Stages(model.graph).program
    if program is None:
        print(f"{model.name}: nothing but lookups, which need no plan")
        return
    bound = program.bind(input_sizes(program.graph, batch_size))
    print(plan_table(f"{model.name}, batch {batch_size}", program, bound))
