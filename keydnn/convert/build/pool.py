"""Max and average pooling, windowed and global, 1-D and 2-D."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Module
from keydnn.modules.pool import (
    AvgPool1d,
    AvgPool2d,
    GlobalAvgPool1d,
    GlobalAvgPool2d,
    GlobalMaxPool1d,
    GlobalMaxPool2d,
    MaxPool1d,
    MaxPool2d,
)

WINDOWED = {
    "MaxPooling1D": (1, MaxPool1d),
    "MaxPooling2D": (2, MaxPool2d),
    "AveragePooling1D": (1, AvgPool1d),
    "AveragePooling2D": (2, AvgPool2d),
}
GLOBAL = {
    "GlobalMaxPooling1D": (1, GlobalMaxPool1d),
    "GlobalMaxPooling2D": (2, GlobalMaxPool2d),
    "GlobalAveragePooling1D": (1, GlobalAvgPool1d),
    "GlobalAveragePooling2D": (2, GlobalAvgPool2d),
}


@builds(*WINDOWED)
def pooling(call: LayerCall) -> Value:
    """Averages are of the real cells: ``count_include_pad=False``."""
    axes, module_type = WINDOWED[call.class_name]
    kernel_size = call.integers("pool_size", axes, 2)
    stride = kernel_size if call.option("strides") is None else call.integers("strides", axes)
    padding, last = call.choice("padding", "valid", ("valid", "same")), call.channels_last()
    x = call.to_channels_first(call.input(rank=2 + axes), last)
    counted = {} if "Max" in call.class_name else {"count_include_pad": False}
    return call.to_channels_last(call.emit(module_type(kernel_size, stride, padding, **counted), x), last)


@builds(*GLOBAL)
def global_pooling(call: LayerCall) -> Value:
    """(N, C), or with all axes if ``keepdims``."""
    axes, module_type = GLOBAL[call.class_name]
    keepdims, last = call.boolean("keepdims", False), call.channels_last()
    x = call.to_channels_first(call.input(rank=2 + axes), last)
    module: Module = module_type(keepdims=keepdims)
    return call.to_channels_last(call.emit(module, x), last and keepdims)
