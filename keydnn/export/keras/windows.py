"""Padding of windows: Keras' words for it, and layers that add or cut cells."""

from __future__ import annotations

from collections.abc import Sequence

from keydnn.export.keras.site import Site, Value
from keydnn.modules.base import Shape
from keydnn.modules.geometry import Ints, Padding, Pads, resolve_pads


def is_same(padding: Padding, sizes: Shape, kernel_size: Ints, stride: Ints, dilation: Ints) -> bool:
    """Tell whether padding is SAME; explicit padding is where it comes to the same cells."""
    if padding == "same":
        return True
    if None not in sizes:
        return padding == resolve_pads("same", _known(sizes), kernel_size, stride, dilation)
    if set(stride) != {1}:
        return False
    return padding == resolve_pads("same", (1 << 20,) * len(stride), kernel_size, stride, dilation)


def pads_of(site: Site, padding: Padding, sizes: Shape, kernel_size: Ints, stride: Ints, dilation: Ints) -> Pads:
    """Give explicit padding; SAME of free sizes is refused."""
    if padding == "same" and None in sizes:
        site.refuse("padding='same' of free sizes is not the same number of cells at every call")
    return resolve_pads(padding, _known(sizes), kernel_size, stride, dilation)


def zero_padded(site: Site, x: Value, pads: Pads) -> Value:
    """Add cells of zeros to the spatial axes of a value with channels last."""
    if not any(map(any, pads)):
        return x
    config = {"padding": pads if len(pads) > 1 else pads[0]}
    return site.layer(f"ZeroPadding{len(pads)}D", config, inputs=[x], shape=grown(x.shape, pads))


def cropped(site: Site, x: Value, cuts: Pads) -> Value:
    """Cut cells off the spatial axes of a value with channels last."""
    if not any(map(any, cuts)):
        return x
    config = {"cropping": cuts if len(cuts) > 1 else cuts[0]}
    shape = grown(x.shape, [(-before, -after) for before, after in cuts])
    return site.layer(f"Cropping{len(cuts)}D", config, inputs=[x], shape=shape)


def strided(site: Site, x: Value, stride: Ints) -> Value:
    """Take every so many cells of the spatial axes of a value with channels last."""
    sizes = (None if size is None else -(-size // step) for size, step in zip(x.shape[1:-1], stride, strict=True))
    key = (slice(None), *(slice(None, None, step) for step in stride), slice(None))
    return site.operation("numpy.GetItem", [x, key], shape=(x.shape[0], *sizes, x.shape[-1]))


def channels(site: Site, x: Value, taken: slice) -> Value:
    """Take some channels, the last axis."""
    key = (*[slice(None)] * (len(x.shape) - 1), taken)
    return site.operation("numpy.GetItem", [x, key], shape=(*x.shape[:-1], taken.stop - taken.start))


def grown(shape: Shape, pads: Sequence[tuple[int, int]]) -> Shape:
    """Give the shape of a value with channels last after padding."""
    sizes = zip(shape[1:-1], pads, strict=True)
    return (shape[0], *(None if size is None else size + sum(pad) for size, pad in sizes), shape[-1])


def per_axis(values: Sequence[int]) -> int | list[int]:
    """Give options of one axis as Keras' layers of sequences have them."""
    return values[0] if len(values) == 1 else list(values)


def _known(sizes: Shape) -> Ints:
    return tuple(1 if size is None else size for size in sizes)  # explicit padding does not look at them
