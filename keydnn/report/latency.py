"""Measured times as reports show them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Timing:
    """One operation of ``predict``: layers and nodes that are computed together, the algorithm, the median time."""

    layers: str
    nodes: tuple[str, ...]
    computed: str
    seconds: float
    macs: int


@dataclass(frozen=True)
class Latency:
    """Times of whole runs and of their operations, in order."""

    seconds: float
    batch: int
    threads: int
    operations: tuple[Timing, ...]
