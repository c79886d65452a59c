"""UpSampling of sequences, images and volumes."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.sampling import SAMPLINGS
from keydnn.modules.upsample import Upsample1d, Upsample2d, Upsample3d


@builds("UpSampling1D")
def up_sampling1d(call: LayerCall) -> Value:
    """Steps are repeated."""
    scale_factor, last = call.integers("size", 1, 2), call.channels_last()
    x = call.to_channels_first(call.input(rank=3), last)
    return call.to_channels_last(call.emit(Upsample1d(scale_factor), x), last)


@builds("UpSampling2D")
def up_sampling2d(call: LayerCall) -> Value:
    """All interpolations with half-pixel centres."""
    scale_factor = call.integers("size", 2, 2)
    mode = call.choice("interpolation", "nearest", ("nearest", "area", "bilinear", *SAMPLINGS))
    if mode == "bilinear" and call.version < (2, 3):
        call.refuse("interpolation", "before Keras 2.3 its alignment depended on the TensorFlow version")
    last = call.channels_last()
    x = call.to_channels_first(call.input(rank=4), last)
    return call.to_channels_last(call.emit(Upsample2d(scale_factor, mode), x), last)


@builds("UpSampling3D")
def up_sampling3d(call: LayerCall) -> Value:
    """Cells are repeated."""
    scale_factor, last = call.integers("size", 3, 2), call.channels_last()
    x = call.to_channels_first(call.input(rank=5), last)
    return call.to_channels_last(call.emit(Upsample3d(scale_factor), x), last)
