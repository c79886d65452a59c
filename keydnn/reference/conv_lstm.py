"""The recurrence of a convolutional LSTM, step by step, so that errors are carried on with the state."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.reference.bounds import F64, Bounded, Rules, exact, linear_sum
from keydnn.reference.conv import conv
from keydnn.reference.merge import add, multiply
from keydnn.reference.recurrent import applied, at, stacked, where
from keydnn.reference.windows import same_pads


def conv_lstm(module: Any, x: Bounded, *others: Bounded) -> Bounded:
    axes, channels = module.axes, module.hidden_channels
    batch, steps, _, *sizes = x.value.shape
    mask = others[0].value != 0 if module.has_mask else np.ones((batch, steps), bool)
    zeros = exact(np.zeros((batch, channels, *sizes)))
    h, c = others[-2:] if module.has_state else (zeros, zeros)
    act, gate = module.functions
    ones, pads = (1,) * axes, same_pads(sizes, module.kernel_size, (1,) * axes, (1,) * axes)

    def convolved(x: F64, weight: F64, bias: F64) -> F64:
        return conv(x, weight, bias, ones, pads, ones, 1)

    output, outputs = zeros, []
    for t in range(steps)[:: -1 if module.go_backwards else 1]:
        active = mask[:, t].reshape(-1, *[1] * (1 + axes))
        z = linear_sum(convolved, module.weight_hh[0].size, h, module.weight_hh, np.zeros(4 * channels))
        total = add(None, at(x, slice(None), t), z)
        i, f, g, o = (at(total, slice(None), slice(k * channels, (k + 1) * channels)) for k in range(4))
        carried = add(None, multiply(None, applied(gate, f), c), multiply(None, applied(gate, i), applied(act, g)))
        state = multiply(None, applied(gate, o), applied(act, carried))
        output = where(active, state, zeros if module.zero_output_for_mask else output)
        h, c = where(active, state, h), where(active, carried, c)
        outputs.append(output)
    given = [*(outputs if module.return_sequences else outputs[-1:]), *([h, c] if module.return_state else [])]
    return stacked(given, flat=not module.return_sequences and not module.return_state)


RULES: Rules = {f"ConvLSTM{axes}d": conv_lstm for axes in (1, 2, 3)}
