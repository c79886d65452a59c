"""UpSampling2D."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.upsample import Upsample2d


@builds("UpSampling2D")
def up_sampling2d(call: LayerCall) -> Value:
    """Nearest and bilinear interpolation with half-pixel centres; the others are refused."""
    scale_factor = call.integers("size", 2, 2)
    mode = call.choice("interpolation", "nearest", ("nearest", "bilinear"))
    if mode == "bilinear" and call.version < (2, 3):
        call.refuse("interpolation", "before Keras 2.3 its alignment depended on the TensorFlow version")
    last = call.channels_last()
    x = call.to_channels_first(call.input(rank=4), last)
    return call.to_channels_last(call.emit(Upsample2d(scale_factor, mode), x), last)
