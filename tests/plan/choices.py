"""What plans choose by size, fixed: tiles, Winograd or the direct sum, parallel or not, which halos are kept."""

from __future__ import annotations

import contextlib
import importlib
import pkgutil

import pytest

import keydnn.plan
from jit_kernels.blocked.tile import tile_shapes

PLAN = [importlib.import_module(f"keydnn.plan.{found.name}") for found in pkgutil.iter_modules(keydnn.plan.__path__)]
SHAPES = tile_shapes()
# Each combination of tile, step and activation is a kernel to compile.
FEW = [max(shape for shape in SHAPES if shape[1] == 2), min(shape for shape in SHAPES if shape[1] == 1)]


@contextlib.contextmanager
def everywhere(prefix, value):
    """Replace names that begin like this in all modules of the plan."""
    with pytest.MonkeyPatch.context() as patch:
        found = [(module, name) for module in PLAN for name in vars(module) if name.startswith(prefix)]
        assert found, f"nothing in keydnn.plan is named {prefix}"
        for module, name in found:
            patch.setattr(module, name, value)
        yield


def tiles(*shapes):
    """Leave plans these tiles."""
    return everywhere("tile_shapes", lambda: list(shapes))


def few_tiles():
    return tiles(*FEW)


def winograd(answer):
    """Decide between Winograd and the direct sum."""
    return everywhere("wins", lambda *arguments: answer)


def kept_halos(answer):
    """Decide whether halos are written once, or in each run."""
    return everywhere("KEPT_NUMBERS", 1 << 30 if answer else 0)


@contextlib.contextmanager
def always_parallel():
    """Let plans deal out all work to the threads there are, however small it is."""
    with everywhere("PARALLEL_", 0), everywhere("WORK_BYTES", 1):  # few tiles are enough for all threads
        yield
