"""ConvLSTM1d/2d/3d: the recurrence of a convolutional LSTM, whose input another module has convolved."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from jit_kernels.conv import conv_ncdhw_f32
from jit_kernels.conv_lstm import FIELDS, conv_lstm_begin_f32, conv_lstm_step_f32
from keydnn.errors import ShapeError
from keydnn.modules.activation import Elementwise
from keydnn.modules.base import Array, Module, Shape, flag, integer, module, shape_text, sized, tensor
from keydnn.modules.geometry import LAYOUTS, PerAxis, as_volume, axis_tuple, in_volume
from keydnn.modules.recurrent import Function, described, function_of, parameters_of, scalar_name


@dataclasses.dataclass(frozen=True, eq=False)
class _ConvLSTM(Module):
    """What the convolutional LSTMs share; :class:`ConvLSTM2d` says what the parameters are."""

    axes: ClassVar[int]
    hidden_channels: int
    kernel_size: PerAxis
    activation: Function = "Tanh"
    recurrent_activation: Function = "Sigmoid"
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    has_mask: bool = False
    has_state: bool = False
    weight_hh: Array | None = tensor()  # noqa: RUF009  # a dataclasses.field

    def __post_init__(self) -> None:
        flags = (
            "return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "has_mask", "has_state"
        )  # fmt: skip
        self.set(
            hidden_channels=integer("hidden_channels", self.hidden_channels),
            kernel_size=axis_tuple("kernel_size", self.kernel_size, self.axes),
            activation=described(function_of("activation", self.activation)),
            recurrent_activation=described(function_of("recurrent_activation", self.recurrent_activation)),
            **{name: flag(name, getattr(self, name)) for name in flags},
        )
        super().__post_init__()

    @property
    def arity(self) -> int:  # type: ignore[override]  # it depends on the parameters
        """How many inputs there are."""
        return 1 + self.has_mask + 2 * self.has_state

    @property
    def functions(self) -> tuple[Elementwise, Elementwise]:
        """The activation and the gates' function."""
        return function_of("activation", self.activation), function_of("activation", self.recurrent_activation)

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight_hh": (4 * self.hidden_channels, self.hidden_channels, *self.kernel_size)}

    def output_shape(self, *shapes: Shape) -> Shape:
        x, *others = shapes
        channels, spatial = 4 * self.hidden_channels, LAYOUTS[self.axes][6:]
        if len(x) != 3 + self.axes or x[2] not in (None, channels) or 0 in x[1:]:
            raise ShapeError(f"{self} takes an input (N, T, {channels}{spatial}, got {shape_text(x)}")
        state = (x[0], self.hidden_channels, *x[3:])
        wanted = [x[:2]] * self.has_mask + [state] * 2 * self.has_state
        for shape, want in zip(others, wanted, strict=True):
            pairs = list(zip(shape, want, strict=False))
            if len(shape) != len(want) or any(None not in pair and pair[0] != pair[1] for pair in pairs):
                raise ShapeError(f"{self} takes a mask or a state {shape_text(want)}, got {shape_text(shape)}")
        more = 2 * self.return_state
        if self.return_sequences:
            return (x[0], None if x[1] is None else x[1] + more, *state[1:])
        return (x[0], 1 + more, *state[1:]) if more else state

    def macs(self, *shapes: Shape) -> int:
        return math.prod(sized(self, shapes[0])) * self.hidden_channels * math.prod(self.kernel_size)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        x, *others = inputs
        batch, steps = x.shape[:2]
        mask = others.pop(0) if self.has_mask else np.zeros((1, 1), np.float32)
        sizes = in_volume(x.shape[3:])
        state = (batch, self.hidden_channels, *sizes)
        first = [as_volume(value) for value in others] or [np.zeros(state, np.float32)] * 2
        padded = in_volume(tuple(size + k - 1 for size, k in zip(x.shape[3:], self.kernel_size, strict=True)))
        h, c = np.zeros((*state[:2], *padded), np.float32), np.empty(state, np.float32)
        given, z = np.empty(state[:2], np.float32), np.empty((batch, 4 * self.hidden_channels, *sizes), np.float32)
        said: dict[str, Any] = {"sequences": self.return_sequences, "return_state": self.return_state}
        said |= {"has_mask": self.has_mask, "zero_masked": self.zero_output_for_mask}
        said |= zip(("front", "top", "left"), in_volume(tuple((k - 1) // 2 for k in self.kernel_size), 0), strict=True)
        options = np.array([said[name] for name in FIELDS], np.int64)
        functions = self.functions
        step = conv_lstm_step_f32(*map(scalar_name, functions))
        assert self.weight_hh is not None  # forward has checked
        weight, no_bias = as_volume(self.weight_hh), np.zeros(4 * self.hidden_channels, np.float32)
        gates = x.reshape(batch, steps, 4 * self.hidden_channels, *sizes)
        rows = out.shape[1] if out.ndim == x.ndim else 1
        target = out.reshape(batch, rows, self.hidden_channels, *sizes)
        conv_lstm_begin_f32(*first, options, h, c, given)
        for place in range(steps):
            t = steps - 1 - place if self.go_backwards else place
            conv_ncdhw_f32(h, weight, no_bias, 1, 1, 1, 1, 1, 1, 1, z)
            step(gates, z, mask, t, place, options, parameters_of(*functions), h, c, given, target)


@module
class ConvLSTM1d(_ConvLSTM):
    """Convolutional LSTM over gates (N, T, 4 * hidden_channels, L).

    Parameters are those of :class:`ConvLSTM2d`.  Keras source: ``keras.layers.ConvLSTM1D``.
    """

    axes = 1


@module
class ConvLSTM2d(_ConvLSTM):
    """Convolutional LSTM over gates (N, T, 4 * hidden_channels, H, W).

    As :class:`LSTM`, with a convolution (stride 1, the size kept) in the place of the state's product.  The input's
    convolution, bias included, is a module before this one.  It gives the last h, (N, hidden_channels, H, W); or all of
    them, (N, T, hidden_channels, H, W); the last h and c follow as further steps if ``return_state``.

    Inputs: the gates i, f, g, o; the mask (N, T) if ``has_mask``; h and c, (N, hidden_channels, H, W) each, if
    ``has_state``.

    Parameters
    ----------
    hidden_channels
        Channels of the state.
    kernel_size
        Of the state's convolution.
    activation, recurrent_activation, return_sequences, return_state, go_backwards, zero_output_for_mask
        As :class:`LSTM`.
    has_mask, has_state
        Which inputs there are.
    weight_hh
        (4 * hidden_channels, hidden_channels, kernel height, kernel width).

    Keras source: ``keras.layers.ConvLSTM2D``.
    """

    axes = 2


@module
class ConvLSTM3d(_ConvLSTM):
    """Convolutional LSTM over gates (N, T, 4 * hidden_channels, D, H, W).

    Parameters are those of :class:`ConvLSTM2d`.  Keras source: ``keras.layers.ConvLSTM3D``.
    """

    axes = 3
