"""Convolutional LSTMs, by a class of ``written/recurrent.py``."""

from __future__ import annotations

from typing import Any

from keydnn.export.torch.expressions import call
from keydnn.export.torch.recurrent import given, options, states_apart
from keydnn.export.torch.site import Site


def conv_lstm(module: Any, site: Site) -> str:
    """Write the layer, as recurrent.py does; its input is convolved by another."""
    sizes = (module.hidden_channels, module.kernel_size)
    constructor = call(site.define("KerasConvLSTM"), *sizes, **options(module, site))
    written = call(site.attribute(constructor, weight_hh=module.weight_hh), *given(module, site))
    if not module.return_state or states_apart(module, site.graph):
        return written
    return call(site.define("with_states"), f"*{written}")


RULES = {f"ConvLSTM{axes}d": conv_lstm for axes in (1, 2, 3)}
