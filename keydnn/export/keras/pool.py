"""Pooling."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import AnyArray, Rules, Site, Value, channels_last
from keydnn.export.keras.windows import grown, is_same, pads_of, per_axis, zero_padded
from keydnn.modules.base import Shape
from keydnn.modules.geometry import Pads, window_bounds

LOWEST = float(np.finfo(np.float32).min)  # from where the search for the largest cell starts


def _window(module: Any, site: Site) -> tuple[Any, ...]:
    return site.inputs[0].shape[1:-1], module.kernel_size, module.stride, (1,) * module.axes


def _config(module: Any, padding: str) -> dict[str, Any]:
    return {"pool_size": per_axis(module.kernel_size), "strides": per_axis(module.stride), "padding": padding}


def _by_keras(module: Any, site: Site) -> str | None:
    """Give Keras' word for the padding, if it has one."""
    if module.padding != "same" and not any(map(any, module.padding)):
        return "valid"
    return "same" if is_same(module.padding, *_window(module, site)) else None


def largest(module: Any, site: Site) -> Value:
    """``MaxPooling``, behind the lowest number all round where Keras has no word for the padding."""
    (x,) = site.inputs
    padding = _by_keras(module, site)
    if padding is None:
        pads = [(0, 0), *module.padding, (0, 0)]
        x = site.operation(
            "numpy.Pad",
            [x],
            {"pad_width": pads, "mode": "constant"},
            kwargs={"constant_values": LOWEST},
            shape=grown(x.shape, module.padding),
        )
    return site.layer(f"MaxPooling{module.axes}D", _config(module, padding or "valid"), inputs=[x])


def average(module: Any, site: Site) -> Value:
    """``AveragePooling``, which counts no padding.

    Zeros all round are counted; where they should not be, the mean is divided by the share of cells that are none.
    """
    (x,) = site.inputs
    padding = _by_keras(module, site)
    name = f"AveragePooling{module.axes}D"
    if padding == "valid" or (padding and not module.count_include_pad):
        return site.layer(name, _config(module, padding))
    window = _window(module, site)
    pads = pads_of(site, module.padding, *window)
    if module.count_include_pad:
        return site.layer(name, _config(module, "valid"), inputs=[zero_padded(site, x, pads)])
    if None in window[0]:
        site.refuse("padding of free sizes that is not counted, and not SAME, which is all that Keras has")
    mean = site.layer(name, _config(module, "valid"), inputs=[zero_padded(site, x, pads)])
    return site.operation("numpy.Divide", [mean, _shares(module, window[0], pads, site.shape[1:-1])])


def _shares(module: Any, sizes: Shape, pads: Pads, results: Shape) -> AnyArray:
    """Give the share of each window's cells that are not padding, of shape (1, *results, 1)."""
    shares = np.ones((), np.float64)
    for size, kernel, stride, (before, _), count in zip(
        sizes, module.kernel_size, module.stride, pads, results, strict=True
    ):
        assert size is not None
        assert count is not None
        bounds = window_bounds(size, kernel, stride, before, count)
        shares = np.multiply.outer(shares, (bounds[:, 1] - bounds[:, 0]) / kernel)
    return shares.astype(np.float32)[np.newaxis, ..., np.newaxis]


def whole(module: Any, site: Site) -> Value:
    """``GlobalAveragePooling`` or ``GlobalMaxPooling``."""
    kind = "Average" if "Avg" in type(module).__name__ else "Max"
    return site.layer(f"Global{kind}Pooling{module.axes}D", {"keepdims": module.keepdims})


def masked(module: Any, site: Site) -> Value:
    """``GlobalAveragePooling1D`` with a mask."""
    x, mask = site.inputs
    given = {"mask": site.cast(mask, "bool")}
    return site.layer("GlobalAveragePooling1D", {"keepdims": module.keepdims}, inputs=[x], kwargs=given)


def adaptive(module: Any, site: Site) -> Value:
    """``AdaptiveAveragePooling`` or ``AdaptiveMaxPooling``."""
    kind = "Average" if "Avg" in type(module).__name__ else "Max"
    size = per_axis(module.output_size)
    return site.layer(f"Adaptive{kind}Pooling{module.axes}D", {"output_size": size, "data_format": "channels_last"})


RULES: Rules = (
    {f"MaxPool{axes}d": channels_last(largest) for axes in (1, 2, 3)}
    | {f"AvgPool{axes}d": channels_last(average) for axes in (1, 2, 3)}
    | {f"Global{kind}Pool{axes}d": channels_last(whole) for kind in ("Avg", "Max") for axes in (1, 2, 3)}
    | {"MaskedGlobalAvgPool1d": channels_last(masked)}
    | {f"Adaptive{kind}Pool{axes}d": channels_last(adaptive) for kind in ("Avg", "Max") for axes in (1, 2, 3)}
)
