"""Places of cells along axes, worked out beforehand where sizes are fixed, and by operators where they are free."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keydnn.export.onnx.site import Argument, Site, integer, ints


def size_of(site: Site, x: str, axis: int) -> str:
    """Give a size as int64 of rank 0."""
    return site.op("Squeeze", site.op("Shape", x, start=axis, end=axis + 1))


def places_of(site: Site, x: str, axis: int, size: int | None) -> Argument:
    """Give the places 0, 1, ... of an axis, whose size is None where it is free."""
    if size is not None:
        return np.arange(size)
    return site.op("Range", integer(0), size_of(site, x, axis), integer(1))


def windows(
    site: Site,
    x: str,
    axes: Sequence[int],
    sizes: Sequence[int | None],
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
) -> str:
    """Give what sliding windows cover: each of the axes becomes two, places and the cells of a window.

    Parameters
    ----------
    x
        The value, padded as it is to be.
    axes
        The axes, in order.
    sizes
        Of ``x`` along them; None where they are free.
    kernel, stride, dilation
        As of a convolution, one for each axis.
    """
    for axis, size, cells, step, apart in reversed(list(zip(axes, sizes, kernel, stride, dilation, strict=True))):
        offsets, reach = np.arange(cells) * apart, (cells - 1) * apart
        if size is not None:
            x = site.op("Gather", x, np.arange(0, size - reach, step)[:, np.newaxis] + offsets, axis=axis)
            continue
        end = site.op("Sub", size_of(site, x, axis), integer(reach))
        starts = site.op("Range", integer(0), end, integer(step))
        x = site.op("Gather", x, site.op("Add", site.op("Unsqueeze", starts, ints(1)), offsets), axis=axis)
    return x
