"""Max and average pooling over one, two and three axes: windowed, adaptive and global."""

from __future__ import annotations

from typing import Any

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.operands import per_axis
from keydnn.convert.build.registry import builds
from keydnn.modules import pool
from keydnn.modules.base import shape_text

WINDOWED: dict[str, Any] = {
    "MaxPooling1D": pool.MaxPool1d,
    "MaxPooling2D": pool.MaxPool2d,
    "MaxPooling3D": pool.MaxPool3d,
    "AveragePooling1D": pool.AvgPool1d,
    "AveragePooling2D": pool.AvgPool2d,
    "AveragePooling3D": pool.AvgPool3d,
}
ADAPTIVE: dict[str, Any] = {
    "AdaptiveMaxPooling1D": pool.AdaptiveMaxPool1d,
    "AdaptiveMaxPooling2D": pool.AdaptiveMaxPool2d,
    "AdaptiveMaxPooling3D": pool.AdaptiveMaxPool3d,
    "AdaptiveAveragePooling1D": pool.AdaptiveAvgPool1d,
    "AdaptiveAveragePooling2D": pool.AdaptiveAvgPool2d,
    "AdaptiveAveragePooling3D": pool.AdaptiveAvgPool3d,
}
GLOBAL: dict[str, Any] = {
    "GlobalMaxPooling1D": pool.GlobalMaxPool1d,
    "GlobalMaxPooling2D": pool.GlobalMaxPool2d,
    "GlobalMaxPooling3D": pool.GlobalMaxPool3d,
    "GlobalAveragePooling1D": pool.GlobalAvgPool1d,
    "GlobalAveragePooling2D": pool.GlobalAvgPool2d,
    "GlobalAveragePooling3D": pool.GlobalAvgPool3d,
}


@builds(*WINDOWED)
def pooling(call: LayerCall) -> Value:
    """Averages are of the real cells: ``count_include_pad=False``."""
    module_type = WINDOWED[call.class_name]
    axes = module_type.axes
    kernel_size = call.integers("pool_size", axes, 2)
    stride = kernel_size if call.option("strides") is None else call.integers("strides", axes)
    padding, last = call.choice("padding", "valid", ("valid", "same")), call.channels_last()
    x = call.to_channels_first(call.input(rank=2 + axes), last)
    counted = {} if "Max" in call.class_name else {"count_include_pad": False}
    return call.to_channels_last(call.emit(module_type(kernel_size, stride, padding, **counted), x), last)


@builds(*ADAPTIVE)
def adaptive_pooling(call: LayerCall) -> Value:
    """As many windows as the output has cells."""
    module_type = ADAPTIVE[call.class_name]
    output_size, last = call.integers("output_size", module_type.axes), call.channels_last()
    x = call.to_channels_first(call.input(rank=2 + module_type.axes), last)
    return call.to_channels_last(call.emit(module_type(output_size), x), last)


@builds(*GLOBAL)
def global_pooling(call: LayerCall) -> Value:
    """(N, C), or with all axes if ``keepdims``; the mean of a masked sequence is that of the steps that count."""
    module_type = GLOBAL[call.class_name]
    keepdims, last = call.boolean("keepdims", False), call.channels_last()
    mask = call.mask() if call.class_name == "GlobalAveragePooling1D" else None
    x = call.to_channels_first(call.input(rank=2 + module_type.axes), last)
    if mask is not None:
        pooled = call.emit(pool.MaskedGlobalAvgPool1d(keepdims), x, mask)
    else:
        pooled = call.emit(module_type(keepdims=keepdims), x)
    return call.to_channels_last(pooled, last and keepdims)


@builds("ops>MaxPool", "ops>AveragePool")
def pool_operation(call: LayerCall) -> Value:
    """As the layers do it; TensorFlow's windows may name all axes."""
    window, strides = call.option("pool_size"), call.option("strides")
    padding = str(call.option("padding", "valid")).lower()
    last = str(call.option("data_format") or "channels_last") in ("channels_last", "NWC", "NHWC", "NDHWC")
    x = call.input()
    axes = len(x.shape) - 2
    if axes not in (1, 2, 3) or padding not in ("valid", "same"):
        call.obstacle(f"on an input {shape_text(x.shape)}", f"one to three axes are pooled, padding={padding!r}")
        call.stop()
    kernel_size = per_axis(call, "pool_size", window, axes, last)
    stride = kernel_size if strides is None else per_axis(call, "strides", strides, axes, last)
    counted = {} if "Max" in call.class_name else {"count_include_pad": False}
    kind = "MaxPooling" if "Max" in call.class_name else "AveragePooling"
    module = WINDOWED[f"{kind}{axes}D"](kernel_size, stride, padding, **counted)
    return call.to_channels_last(call.emit(module, call.to_channels_first(x, last)), last)
