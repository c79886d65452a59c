"""The recurrence of a convolutional LSTM, as a Scan."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from keydnn.export.onnx.site import Rules, Site
from keydnn.export.onnx.steps import applied, scanned


def conv_lstm(module: Any, site: Site) -> str:
    shape = site.shapes[0]
    state = shape[0], module.hidden_channels, *shape[3:]
    return scanned(module, site, (site.inputs[0], shape), state, 2, partial(_step, module, state))


def _step(module: Any, shape: tuple[int | None, ...], site: Site, x: str, states: Sequence[str]) -> tuple[str, str]:
    (h, c), (act, gate) = states, module.functions
    pads = [(size - 1) // 2 for size in module.kernel_size] + [size // 2 for size in module.kernel_size]
    own = site.op("Conv", h, site.weight("weight_hh"), kernel_shape=module.kernel_size, pads=pads)
    i, f, g, o = site.ops("Split", 4, site.op("Add", x, own), axis=1, num_outputs=4)
    i, f, o = (applied(gate, site, value, shape) for value in (i, f, o))
    fresh = site.op("Mul", i, applied(act, site, g, shape))
    c = site.op("Add", site.op("Mul", f, c), fresh)
    return site.op("Mul", o, applied(act, site, c, shape)), c


RULES: Rules = {f"ConvLSTM{axes}d": conv_lstm for axes in (1, 2, 3)}
