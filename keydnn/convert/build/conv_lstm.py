"""ConvLSTM1D, ConvLSTM2D, ConvLSTM3D."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.conv import PLAIN, bias_of, channels_leading, read_window
from keydnn.convert.build.recurrent import WITHOUT_EFFECT, read_function, skips_nothing, zeroes_masked_steps
from keydnn.convert.build.registry import builds
from keydnn.convert.build.states import States
from keydnn.errors import ShapeError
from keydnn.modules.base import shape_text
from keydnn.modules.conv_lstm import ConvLSTM1d, ConvLSTM2d, ConvLSTM3d
from keydnn.modules.recurrent import Steps
from keydnn.modules.time import FoldTime, UnfoldTime

MODULES = {"ConvLSTM1D": ConvLSTM1d, "ConvLSTM2D": ConvLSTM2d, "ConvLSTM3D": ConvLSTM3d}


@builds(*MODULES)
def conv_lstm(call: LayerCall) -> Sequence[Value]:
    """All steps of the input through one convolution, as images of one batch; then the recurrence.

    Gates i, f, c, o.  The state's convolution has neither strides nor dilation.
    """
    kind = MODULES[call.class_name]
    axes = kind.axes
    channels, window = call.integer("filters"), read_window(call, axes)
    call.ignore(*WITHOUT_EFFECT)
    call.require("time_major", False)
    call.boolean("stateful", False)  # see States
    gives_states = call.boolean("return_state", False)
    options: dict[str, Any] = {
        "activation": read_function(call, "activation", "tanh"),
        "recurrent_activation": read_function(
            call, "recurrent_activation", "hard_sigmoid" if call.version < (3,) else "sigmoid"
        ),
        "return_sequences": call.boolean("return_sequences", False),
        "go_backwards": call.boolean("go_backwards", False),
        "zero_output_for_mask": zeroes_masked_steps(call) and call.version >= (3,),  # Keras 2 does not heed it here
    }
    placed = call.tensor("mask by position", 2)
    is_named = placed is not None or call.names_mask
    mask = passed = placed or call.mask()
    initial = call.tensors("initial_state", 1)
    x, *more = call.inputs()
    if skips_nothing(call, [*more, *initial], is_named):
        mask = None
    if len(x.shape) != 3 + axes:
        raise ShapeError(f"takes an input of rank {3 + axes}, got {shape_text(x.shape)}")
    folded = call.to_channels_first(call.emit(FoldTime(), x, part="fold"), window.last)
    in_channels = call.size(folded, 1)
    kernel, recurrent, *bias = call.weights(
        kernel=(*window.kernel_size, in_channels, 4 * channels),
        recurrent_kernel=(*window.kernel_size, channels, 4 * channels),
        bias=window.bias_shape(4 * channels),
    )
    module_type = PLAIN[f"Conv{axes}D"]
    convolution = module_type(
        in_channels,
        4 * channels,
        window.kernel_size,
        window.stride,
        window.padding,
        window.dilation,
        use_bias=window.use_bias,
        weight=channels_leading(kernel),
        bias=bias_of(bias),
    )
    gates = call.emit(convolution, folded, part="input")
    sequence = call.emit(UnfoldTime(), gates, x, part="gates")
    given = [call.to_channels_first(state, window.last) for state in [*more, *initial]]
    sizes = (channels, *(call.size(sequence, axis) for axis in range(3, 3 + axes)))
    states = States(call, x, given, "hc", sizes)
    module = kind(
        channels,
        window.kernel_size,
        return_state=gives_states or states.kept,
        has_mask=mask is not None,
        has_state=bool(states.first),
        weight_hh=channels_leading(recurrent),
        **options,
    )
    inputs = [sequence, *([mask] if mask else []), *states.first]
    if not module.return_state:
        found, last = call.emit(module, *inputs), []
    else:
        whole = call.emit(module, *inputs, part="whole")
        found = call.emit(Steps(0, -2) if module.return_sequences else Steps(0), whole)
        last = [call.emit(Steps(place), whole, part=name) for place, name in ((-2, "h"), (-1, "c"))]
    states.keep(last)
    ends = [found, *(last if gives_states else [])]
    ends = [_channels_back(call, end, module.return_sequences and end is found, window.last) for end in ends]
    return [replace(ends[0], mask=passed if module.return_sequences else None), *ends[1:]]


def _channels_back(call: LayerCall, value: Value, is_sequence: bool, last: bool) -> Value:
    """Give an output with its channels where the layer's data format has them."""
    if not last:
        return value
    if not is_sequence:
        return call.to_channels_last(value, last)
    return call.permute(value, (0, 1, *range(3, len(value.shape)), 2), "channels_last")
