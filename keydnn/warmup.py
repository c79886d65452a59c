"""Kernels compiled beforehand, so that the first prediction of later processes only loads them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path

from jit_kernels._jit import READY, cache_folder
from keydnn.examples import random_inputs
from keydnn.model import Model


@dataclass(frozen=True)
class Warmup:
    """What a warm-up did.

    Attributes
    ----------
    seconds
        How long it took.
    kernels
        The kernels that this process had not used before, and whether each was compiled now; the others came from the
        cache.
    folder
        Where compiled kernels are kept; None if no private folder could be had.
    """

    seconds: float
    kernels: dict[str, bool]
    folder: Path | None

    @property
    def compiled(self) -> int:
        """The number of kernels that were compiled now."""
        return sum(self.kernels.values())

    @property
    def cached_bytes(self) -> int:
        """The size of all that the folder holds."""
        return sum(file.stat().st_size for file in self.folder.iterdir()) if self.folder else 0


def warm_up(model: Model, batch_size: int = 1) -> Warmup:
    """Compile, or load, every kernel that a model runs on, by one prediction.

    Parameters
    ----------
    model
        The model; sizes that it leaves free are taken as 32.
    batch_size
        Examples computed at once: small work runs on one thread, for which kernels are compiled separately.
    """
    arrays = random_inputs(model.graph, batch_size)
    before, start = dict(READY), time.perf_counter()
    (Model(model.graph) if model.graph.states else model)(arrays)  # states stay as they are
    seconds = time.perf_counter() - start
    return Warmup(seconds, {name: new for name, new in READY.items() if name not in before}, cache_folder())
