"""Tries exported files in the library that they are for, and compares what it computes with the float64 reference."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np

from keydnn import reference
from keydnn.errors import DivergenceError, ExportError
from keydnn.examples import random_inputs
from keydnn.export.runner import MARK
from keydnn.graph import Graph
from keydnn.modules.typed import AnyArray
from keydnn.strict_json import clip
from keydnn.verify.record import OWN
from keydnn.verify.rows import relative_error

RUNNER = Path(__file__).with_name("runner.py")
ATOL = 2.0**-24  # what is lost beside 1.0: libraries are no better where a sigmoid is saturated
Orders = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Trial:
    """What a library computed of a seeded example.

    Attributes
    ----------
    ran
        Name and version: ``"torch 2.13.0"``.
    differences
        By output: the largest absolute difference from the float64 reference, relative to the largest absolute number.
    rtol
        How large it may be.
    """

    ran: str
    differences: Mapping[str, float]
    rtol: float

    def __str__(self) -> str:
        """Say it in half a line."""
        worst = max(self.differences.values())
        return f"{self.ran} gives the same: largest difference {worst:.1e} of the largest number, {self.rtol:g} allowed"


def library_is_here(library: str) -> bool:
    """Tell whether a package can be imported by this Python, without importing it."""
    return importlib.util.find_spec(library) is not None


def try_out(graph: Graph, file: Path, library: str, orders: Orders, python: Path | None, rtol: float) -> Trial:
    """Run an exported file on a seeded example.

    Parameters
    ----------
    graph
        What was exported.
    file
        What was written.
    library
        The package that runs it.
    orders
        By input: the axes of the graph's input in the order that the file takes.
    python
        A Python that has the library; this one unless given.
    rtol
        Difference allowed, relative to the largest absolute number of an output.

    Raises
    ------
    ExportError
        The library is not there, or does not take the file.
    DivergenceError
        It computes something else.
    """
    examples = graph.complete(_examples(graph))
    arrays = [
        np.ascontiguousarray(np.asarray(array).transpose(orders.get(given.name) or range(np.ndim(array))))
        for given, array in zip(graph.inputs, examples, strict=True)
    ]
    ran, found = _run(file, library, arrays, python)
    ends = {output.value for output in graph.outputs}
    values = {name: value for name, value in reference.walk_values(graph, examples) if name in ends}
    if len(found) != len(graph.outputs):
        raise DivergenceError(f"{file.name}: {ran} gives {len(found)} outputs, not {len(graph.outputs)}")
    differences = {}
    for output, array in zip(graph.outputs, found, strict=True):
        value = values[output.value]
        if value.shape != array.shape:
            raise DivergenceError(f"{file.name}: {ran} gives {output.name} of shape {array.shape}, not {value.shape}")
        differences[output.name] = relative_error(array, value, atol=ATOL)
    name = max(differences, key=lambda each: differences[each])
    if not differences[name] <= rtol:
        raise DivergenceError(
            f"{file.name}: {ran} gives another {name}: {differences[name]:.1e} of its largest number apart, "
            f"{rtol:g} allowed; nothing was written"
        )
    return Trial(ran, differences, rtol)


def _examples(graph: Graph) -> list[AnyArray]:
    """Give two examples, or one batch where the graph fixes it."""
    one, other = random_inputs(graph, seed=0), random_inputs(graph, seed=1)
    if any(given.shape[0] is not None for given in graph.inputs):
        return one
    return [np.concatenate(both) for both in zip(one, other, strict=True)]


def _run(file: Path, library: str, arrays: Sequence[AnyArray], python: Path | None) -> tuple[str, list[AnyArray]]:
    """Give the name and version of the library, and what it computes."""
    file = file.absolute()
    inputs, outputs = file.with_name("inputs.npz"), file.with_name("outputs.npz")
    texts = [array.astype(np.str_) if array.dtype == object else array for array in arrays]
    np.savez(inputs, **cast(dict[str, Any], {str(place): array for place, array in enumerate(texts)}))
    words = [str(python or sys.executable), str(RUNNER), library, str(file), str(inputs), str(outputs)]
    environment = {key: value for key, value in os.environ.items() if python is None or key not in OWN}
    environment |= {"TF_CPP_MIN_LOG_LEVEL": "3", "CUDA_VISIBLE_DEVICES": "", "PYTHONDONTWRITEBYTECODE": "1"}
    try:
        done = subprocess.run(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=environment,
            text=True, encoding="utf-8", errors="replace", check=False,
        )  # fmt: skip
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ExportError(f"--python {python}: cannot be run: {reason}; give a Python that has {library}") from None
    lines = done.stdout.splitlines()
    kind, _, text = next((x.removeprefix(MARK) for x in lines if x.startswith(MARK)), "").partition(" ")
    if kind == "missing":
        raise ExportError(f"{words[0]} has no {text}, so {file.name} cannot be tried: install it, or --nocheck")
    if kind != "ran":
        why = text or f"it ended with status {done.returncode}: {clip(lines[-1] if lines else '', 300)}"
        raise ExportError(f"{library} does not take {file.name}: {why}")
    with np.load(outputs, allow_pickle=False) as found:
        return text, [found[str(place)] for place in range(len(found.files))]
