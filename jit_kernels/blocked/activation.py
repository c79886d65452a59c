"""Activations applied to a run of numbers in the arena: the epilogue of other kernels, and kernels of their own."""

from __future__ import annotations

import functools
from typing import Any

from jit_kernels._jit import device
from jit_kernels.activation import SCALARS


@functools.cache
def row_pass(name: str) -> Any:
    """Give the device function that applies an elementwise function (of ``SCALARS``); "" gives one that does not."""
    if not name:

        @device
        def nothing(arena: Any, start: int, size: int, a: Any, b: Any, c: Any) -> None:
            """Leave the numbers as they are."""

        return nothing
    scalar = SCALARS[name]

    @device
    def apply(arena: Any, start: int, size: int, a: Any, b: Any, c: Any) -> None:
        """Replace ``size`` numbers from ``arena[start]`` on."""
        values = arena[start : start + size]  # an index that counts from 0 cannot be negative, and so is vectorised
        for i in range(size):
            values[i] = scalar(values[i], a, b, c)

    return apply
