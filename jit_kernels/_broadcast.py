"""The factory of kernels that take two parameters for each channel, float32."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import prange

from jit_kernels._jit import Kernel, kernel

# Threads share blocks of this many elements, whatever their number: an element's place in its block, and so whether
# it is computed by vector code or by the loop's remainder, does not depend on how many threads there are.
BLOCK = 4096


def broadcasting(name: str, scalar: Callable[..., Any]) -> Kernel:
    """Make the kernel ``out[i] = scalar(x[i], first[c], second[c])``, where ``c`` is the channel of ``i``."""

    @kernel("void(f4[::1], f4[::1], f4[::1], i8, f4[::1])", name=name)
    def compute(x: Any, first: Any, second: Any, cells: Any, out: Any) -> None:
        """Apply the scalar function to lines of ``cells`` numbers, one a channel, the channels again and again.

        With ``cells`` 1 the channels are a row's numbers, and the last row may be shorter.  ``first`` and ``second``
        are (channels,).  Writes ``out``, as large as ``x``.  Parallel axis: blocks of lines or rows.
        """
        channels = first.size
        length = channels if cells == 1 else cells
        blocks = (length + BLOCK - 1) // BLOCK
        for unit in prange((x.size + length - 1) // length * blocks):
            line, begin = unit // blocks, unit % blocks * BLOCK
            count = max(min(BLOCK, length - begin, x.size - line * length - begin), 0)
            start = line * length + begin
            numbers, results = x[start : start + count], out[start : start + count]
            if cells == 1:
                firsts, seconds = first[begin : begin + count], second[begin : begin + count]
                for i in range(count):
                    results[i] = scalar(numbers[i], firsts[i], seconds[i])
            else:
                a, b = first[line % channels], second[line % channels]
                for i in range(count):
                    results[i] = scalar(numbers[i], a, b)

    return compute
