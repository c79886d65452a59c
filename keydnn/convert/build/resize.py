"""Resizing, CenterCrop, and RandomCrop as it is at inference."""

from __future__ import annotations

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.operands import sizes_of
from keydnn.convert.build.registry import builds
from keydnn.modules.activation import HardTanh
from keydnn.modules.resize import CenterCrop, Resize
from keydnn.modules.sampling import MODES
from keydnn.modules.unary import Unary

INTEGERS = {f"{sign}int{bits}" for sign in ("", "u") for bits in (8, 16, 32)}


@builds("Resizing")
def resizing(call: LayerCall) -> Value:
    """By interpolation; the data format only says which axes."""
    return _resized(call, *_size_and_dims(call))


@builds("ops>Resize")
def resize(call: LayerCall) -> Value:
    """As the layer does it, to a size that is known."""
    first = call.option("data_format") == "channels_first"
    call.require("preserve_aspect_ratio", False)
    height, width = sizes_of(call, "size", 2)
    if height is None or width is None:
        call.obstacle("to a size that is free", "the size of an axis that is free")
        call.stop()
    return _resized(call, (height, width), (2, 3) if first else (1, 2))


def _resized(call: LayerCall, size: tuple[int, int], dims: tuple[int, int]) -> Value:
    mode = str(call.option("interpolation", "bilinear")).lower()
    if mode not in MODES:
        call.refuse("interpolation", f"only {', '.join(MODES)}")
    crop, pad = call.boolean("crop_to_aspect_ratio", False), call.boolean("pad_to_aspect_ratio", False)
    antialias, fill = call.boolean("antialias", False), call.number("fill_value", 0.0)
    call.require("fill_mode", "constant")
    x = call.input(rank=4)
    fit = "crop" if crop else "pad" if pad else "stretch"
    module = Resize(size, mode, antialias=antialias, fit=fit, fill=fill, dims=dims)
    dtype = call.input_dtype()
    if call.version < (3,) or mode == "nearest" or dtype not in INTEGERS:
        return call.emit(module, x)
    call.rewrite(f"rounded to {dtype}, which Keras 3 gives for an input of it")
    limits = np.iinfo(dtype)
    rounded = call.emit(Unary("round"), call.emit(module, x, part="resized"), part="rounded")
    return call.emit(HardTanh(float(limits.min), float(limits.max)), rounded)


@builds("CenterCrop")
def center_crop(call: LayerCall) -> Value:
    """A smaller image is resized."""
    size, dims = _size_and_dims(call)
    return call.emit(CenterCrop(size, dims=dims), call.input(rank=4))


@builds("RandomCrop")
def random_crop(call: LayerCall) -> Value:
    """Resized to the aspect ratio at inference; from Keras 3.7 on left as it is (keras issue 21868)."""
    size, dims = _size_and_dims(call)
    call.ignore("rng_type")
    x = call.input(rank=4)
    if call.version >= (3, 7):
        return call.identity(x)
    call.rewrite("resized, as Keras does at inference")
    return call.emit(Resize(size, fit="crop", dims=dims), x)


def _size_and_dims(call: LayerCall) -> tuple[tuple[int, int], tuple[int, int]]:
    """Read height and width, and the axes that they are of."""
    last = call.choice("data_format", "channels_last", ("channels_last", "channels_first")) == "channels_last"
    call.ignore("bounding_box_format")
    if call.version >= (3,):
        call.argument("training")  # the layers' default, which Keras 3 writes into every call
    return (call.integer("height"), call.integer("width")), ((1, 2) if last else (2, 3))
