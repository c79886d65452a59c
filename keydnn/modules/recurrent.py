"""Recurrent layers: LSTM, GRU and SimpleRNN; and Steps, which takes single steps out of a sequence."""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar

import numpy as np

from jit_kernels.dense import linear_f32
from jit_kernels.recurrent import FIELDS, recurrent_f32
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.activation import Elementwise, Identity
from keydnn.modules.base import (
    MODULE_TYPES,
    Array,
    Module,
    Shape,
    as_float32,
    flag,
    integer,
    module,
    shape_text,
    sized,
    tensor,
    want_rank,
    want_size,
)
from keydnn.modules.softmax import LogSoftmax, Softmax, Sparsemax

Function = str | tuple[Any, ...]  # "Tanh", or ("HardSigmoid", 0.2, 0.5, 1.0)
# Of one number, or of all units of a step: for these there is no kernel.
FUNCTIONS = (Elementwise, Softmax, LogSoftmax, Sparsemax)


def activation_of(name: str, value: Any) -> Module:
    """Give the module that a parameter names: an activation of ``FUNCTIONS``, alone or with its parameters."""
    kind, *parameters = value if isinstance(value, (tuple, list)) and value else (value,)
    made = MODULE_TYPES.get(kind) if isinstance(kind, str) else None
    if made is None or not issubclass(made, FUNCTIONS):
        raise ParameterError(f"{name} must be the name of an activation, alone or with its parameters, got {value!r}")
    try:
        function = made(*parameters)
    except TypeError as error:
        raise ParameterError(f"{name}={value!r}: {error}") from None
    if getattr(function, "dim", -1) != -1:
        raise ParameterError(f"{name} must work on the last axis, got {value!r}")
    return function


def function_of(name: str, value: Any) -> Elementwise:
    """Give the module that a parameter names, which must be an activation of one number."""
    function = activation_of(name, value)
    if not isinstance(function, Elementwise):
        raise ParameterError(f"{name} must be the name of an elementwise activation, got {value!r}")
    return function


def described(function: Module) -> Function:
    """Give the parameter that names an activation: without its parameters where they are the usual ones."""
    kind, parameters = type(function), tuple(function.parameters().values())
    return kind.__name__ if parameters == tuple(kind().parameters().values()) else (kind.__name__, *parameters)


def scalar_name(function: Elementwise) -> str:
    """Give the activation's function in ``jit_kernels/activation.py``; "" for none."""
    return "" if isinstance(function, Identity) else function.kernel.name.removesuffix("_f32")


@dataclasses.dataclass(frozen=True, eq=False)
class Recurrent(Module):
    """What the recurrent layers share; :class:`LSTM` says what the parameters are.

    Inputs: the sequences (N, T, input_size), then the mask (N, T) if ``has_mask``, then each state (N, hidden_size) if
    ``has_state``.
    """

    gates: ClassVar[int]
    state_count: ClassVar[int] = 1
    input_size: int
    hidden_size: int
    use_bias: bool = True
    activation: Function = "Tanh"
    return_sequences: bool = False
    return_state: bool = False
    go_backwards: bool = False
    zero_output_for_mask: bool = False
    has_mask: bool = False
    has_state: bool = False
    weight_ih: Array | None = tensor()  # noqa: RUF009  # a dataclasses.field
    weight_hh: Array | None = tensor()  # noqa: RUF009  # as above
    bias_ih: Array | None = tensor()  # noqa: RUF009  # as above

    def __post_init__(self) -> None:
        flags = (
            "use_bias", "return_sequences", "return_state", "go_backwards", "zero_output_for_mask", "has_mask",
            "has_state",
        )  # fmt: skip
        self.set(
            input_size=integer("input_size", self.input_size),
            hidden_size=integer("hidden_size", self.hidden_size),
            activation=described(activation_of("activation", self.activation)),
            **{name: flag(name, getattr(self, name)) for name in flags},
        )
        super().__post_init__()

    @property
    def arity(self) -> int:  # type: ignore[override]  # it depends on the parameters
        """How many inputs there are."""
        return 1 + self.has_mask + self.state_count * self.has_state

    @property
    def cell(self) -> str:
        """The cell, as ``jit_kernels/recurrent.py`` names it."""
        raise NotImplementedError

    @property
    def functions(self) -> tuple[Module, Module]:
        """The activation and the gates' function."""
        gate = getattr(self, "recurrent_activation", "Identity")
        return activation_of("activation", self.activation), activation_of("recurrent_activation", gate)

    @property
    def elementwise(self) -> tuple[Elementwise, Elementwise] | None:
        """The same, if both are of one number."""
        activation, gate = self.functions
        if isinstance(activation, Elementwise) and isinstance(gate, Elementwise):
            return activation, gate
        return None

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        rows = self.gates * self.hidden_size
        shapes: dict[str, tuple[int, ...]] = {
            "weight_ih": (rows, self.input_size), "weight_hh": (rows, self.hidden_size)
        }  # fmt: skip
        return shapes | ({"bias_ih": (rows,)} if self.use_bias else {})

    def output_shape(self, *shapes: Shape) -> Shape:
        x, *others = shapes
        want_rank(self, x, 3, f"(N, T, {self.input_size})")
        want_size(self, x, 2, self.input_size, f"(N, T, {self.input_size})")
        if x[1] == 0:
            raise ShapeError(f"{self} takes sequences of one step or more, got {shape_text(x)}")
        wanted = [x[:2]] * self.has_mask + [(x[0], self.hidden_size)] * self.state_count * self.has_state
        for shape, want in zip(others, wanted, strict=True):
            fits = len(shape) == 2 and all(None in pair or pair[0] == pair[1] for pair in zip(shape, want, strict=True))
            if not fits:
                raise ShapeError(f"{self} takes a mask or a state {shape_text(want)}, got {shape_text(shape)}")
        states = self.state_count * self.return_state
        if not self.return_sequences:
            return (x[0], 1 + states, self.hidden_size) if states else (x[0], self.hidden_size)
        return (x[0], None if x[1] is None else x[1] + states, self.hidden_size)

    def macs(self, *shapes: Shape) -> int:
        batch, steps, _ = sized(self, shapes[0])
        return batch * steps * self.gates * self.hidden_size * (self.input_size + self.hidden_size)

    def launches_only(self, *shapes: Shape) -> bool:
        return self.elementwise is not None

    def compute(self, *inputs: Array, out: Array) -> None:
        x, *others = inputs
        batch, steps, _ = x.shape
        rows, size = self.gates * self.hidden_size, self.hidden_size
        mask = others.pop(0) if self.has_mask else np.zeros((1, 1), np.float32)
        states = others if self.has_state else [np.zeros((batch, size), np.float32)] * self.state_count
        projected = np.empty((batch * steps, rows), np.float32)
        out = out.reshape(batch, math.prod(out.shape[1:]) // size, size)
        linear_f32(x.reshape(batch * steps, self.input_size), self.weight_ih, self.input_bias(), projected)
        if self.elementwise is None:
            self._go_through(projected.reshape(batch, steps, rows), mask, states, out)
            return
        activation, gate = self.elementwise
        given = {"reverse": self.go_backwards, "sequences": self.return_sequences, "return_state": self.return_state}
        given |= {"has_mask": self.has_mask, "zero_masked": self.zero_output_for_mask}
        recurrent_f32(self.cell, scalar_name(activation), scalar_name(gate))(
            projected.reshape(batch, steps, rows),
            self.weight_hh,
            self.recurrent_bias(),
            mask,
            states[0],
            states[-1],
            np.array([given[name] for name in FIELDS], np.int64),
            parameters_of(activation, gate),
            np.empty((batch, rows + 2 * size), np.float32),
            out,
        )

    def _go_through(self, x: Array, mask: Array, states: list[Array], out: Array) -> None:
        """Compute step by step with the functions' modules; ``x`` is what the input gives the gates."""
        output = zeros = np.zeros_like(states[0])
        for place in range(x.shape[1]):
            t = x.shape[1] - 1 - place if self.go_backwards else place
            fresh = self.step(x[:, t], *states)
            here = mask[:, t, np.newaxis] != 0 if self.has_mask else np.True_
            states = [np.where(here, new, old) for new, old in zip(fresh, states, strict=True)]
            output = np.where(here, fresh[0], zeros if self.zero_output_for_mask else output)
            if self.return_sequences or place == x.shape[1] - 1:
                out[:, place if self.return_sequences else 0] = output
        if self.return_state:
            out[:, -self.state_count :] = np.stack(states, axis=1)

    def step(self, x: Array, *states: Array) -> list[Array]:
        """Give the next states, h first."""
        raise NotImplementedError

    def product(self, h: Array, gates: slice = slice(None)) -> list[Array]:
        """Multiply the weight of some gates by the state."""
        weight = self.weight_hh.reshape(self.gates, self.hidden_size, -1)[gates]  # type: ignore[union-attr]  # it is there
        weight = weight.reshape(-1, self.hidden_size)
        out = np.empty((len(h), len(weight)), np.float32)
        linear_f32(as_float32(h), weight, np.zeros(len(weight), np.float32), out)
        return np.split(out, len(weight) // self.hidden_size, axis=1)

    def input_bias(self) -> Array:
        """Give what is added to the input's products."""
        return np.zeros(self.gates * self.hidden_size, np.float32) if self.bias_ih is None else self.bias_ih

    def recurrent_bias(self) -> Array:
        """Give what is added to the state's products, where that is not the same."""
        return np.zeros(self.gates * self.hidden_size, np.float32)


@dataclasses.dataclass(frozen=True, eq=False)
class _Gated(Recurrent):
    """A layer whose gates have a function of their own."""

    recurrent_activation: Function = "Sigmoid"

    def __post_init__(self) -> None:
        gate = activation_of("recurrent_activation", self.recurrent_activation)
        self.set(recurrent_activation=described(gate))
        super().__post_init__()


def parameters_of(*functions: Elementwise) -> Array:
    """Give the parameters of activations, three each, as kernels take them."""
    return np.array([value for one in functions for value in (*one.constants(), 0.0, 0.0, 0.0)[:3]], np.float32)


@module
class LSTM(_Gated):
    """Long short-term memory over (N, T, input_size), as a one-layer ``torch.nn.LSTM`` with ``batch_first``.

    ``i, f, g, o = s(W_i x + U_i h), s(W_f x + U_f h), a(W_g x + U_g h), s(W_o x + U_o h)``; ``c = f c + i g``;
    ``h = o a(c)``.  It gives (N, hidden_size), the last h; or all of them, (N, T, hidden_size); the last h and c follow
    as further steps if ``return_state``.

    Parameters
    ----------
    input_size, hidden_size
        Sizes of a step of the input and of the state.
    use_bias
        Whether there is a bias; PyTorch has two, which are added.
    activation, recurrent_activation
        ``a`` and ``s``: the name of an activation of one element or of Softmax, LogSoftmax, Sparsemax (which take the
        units of a step together, one step after the other, without a kernel); or a tuple of it and its parameters.
    return_sequences, return_state
        Whether to give every step's h, and the last state.
    go_backwards
        Whether to begin with the last step; outputs are in the order in which they are computed.
    zero_output_for_mask
        Whether a masked step gives zeros; else it gives again what the step before gave (zeros at first).
    has_mask
        Whether the second input is a mask (N, T): where it is 0 the state stays as it is.
    has_state
        Whether the last inputs are the first h and c, (N, hidden_size) each; else zeros.
    weight_ih, weight_hh
        (4 * hidden_size, input_size) and (4 * hidden_size, hidden_size), gates in the order i, f, g, o.
    bias_ih
        (4 * hidden_size,).

    Keras source: ``keras.layers.LSTM``, whose kernels are transposed; its gates i, f, c, o are in the same order.
    """

    gates: ClassVar[int] = 4
    state_count: ClassVar[int] = 2

    @property
    def cell(self) -> str:
        return "lstm"

    def step(self, x: Array, *states: Array) -> list[Array]:
        (h, c), (act, gate) = states, self.functions
        i, f, g, o = (mine + own for mine, own in zip(np.split(x, 4, axis=1), self.product(h), strict=True))
        c = gate(f) * c + gate(i) * act(g)
        return [gate(o) * act(c), c]


@module
class GRU(_Gated):
    """Gated recurrent unit over (N, T, input_size), as a one-layer ``torch.nn.GRU`` with ``batch_first``.

    ``r, z = s(W_r x + U_r h), s(W_z x + U_z h)``; ``n = a(W_n x + r (U_n h + b))``, or ``a(W_n x + U_n (r h))`` without
    ``reset_after``; ``h = (1 - z) n + z h``.

    Parameters
    ----------
    reset_after
        Whether r multiplies the product (PyTorch, cuDNN, Keras since 2.3) or the state (the paper, Keras before).
    weight_ih, weight_hh
        (3 * hidden_size, input_size) and (3 * hidden_size, hidden_size), gates in the order r, z, n.
    bias_ih, bias_hh
        (3 * hidden_size,); ``bias_hh`` with ``reset_after`` only.

    The others, and what it gives, as in :class:`LSTM`; the state is h alone.

    Keras source: ``keras.layers.GRU``, whose kernels are transposed and whose gates are z, r, h.
    """

    gates: ClassVar[int] = 3
    reset_after: bool = True
    bias_hh: Array | None = tensor()

    def __post_init__(self) -> None:
        self.set(reset_after=flag("reset_after", self.reset_after))
        super().__post_init__()

    @property
    def cell(self) -> str:
        return "gru" if self.reset_after else "gru_reset_before"

    def step(self, x: Array, *states: Array) -> list[Array]:
        (h,), (act, gate) = states, self.functions
        *both, mine = np.split(x, 3, axis=1)
        r, z = (gate(one + own) for one, own in zip(both, self.product(h, slice(2)), strict=True))
        if self.reset_after:
            (own,) = self.product(h, slice(2, 3))
            own = r * (own + self.recurrent_bias()[2 * self.hidden_size :])
        else:
            (own,) = self.product(r * h, slice(2, 3))
        return [z * h + (1 - z) * act(mine + own)]

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        shapes = super().tensor_shapes()
        return shapes | ({"bias_hh": shapes["bias_ih"]} if self.use_bias and self.reset_after else {})

    def input_bias(self) -> Array:
        """Give the biases of the input, and of r and z those of the state too."""
        bias = super().input_bias()
        if self.bias_hh is None:
            return bias
        both = 2 * self.hidden_size
        return np.concatenate([bias[:both] + self.bias_hh[:both], bias[both:]])

    def recurrent_bias(self) -> Array:
        return super().recurrent_bias() if self.bias_hh is None else self.bias_hh


@module
class SimpleRNN(Recurrent):
    """``h = a(W x + U h)`` over (N, T, input_size), as a one-layer ``torch.nn.RNN`` with ``batch_first``.

    Parameters
    ----------
    weight_ih, weight_hh
        (hidden_size, input_size) and (hidden_size, hidden_size).
    bias_ih
        (hidden_size,).

    The others, and what it gives, as in :class:`LSTM`; the state is h alone.

    Keras source: ``keras.layers.SimpleRNN``, whose kernels are transposed.
    """

    gates: ClassVar[int] = 1

    @property
    def cell(self) -> str:
        return "simple"

    def step(self, x: Array, *states: Array) -> list[Array]:
        (own,) = self.product(states[0])
        return [self.functions[0](x + own)]


@module
class Steps(Module):
    """Some steps of (N, T, ...): those from ``start`` up to ``stop``, or one, (N, ...), if there is no ``stop``.

    Parameters
    ----------
    start
        The first step; negative ones count from the end.
    stop
        The step behind the last one, as in a Python slice; ``"end"`` for all that follow; None for one step alone.

    Keras source: the outputs of a recurrent layer with ``return_state``.
    """

    start: int
    stop: int | str | None = None

    def __post_init__(self) -> None:
        least = -(1 << 31)
        self.set(start=integer("start", self.start, least))
        if self.stop is not None and self.stop != "end":
            self.set(stop=integer("stop", self.stop, least))
        super().__post_init__()

    def _range(self, count: int) -> range:
        return range(count)[self.start : self.stop if isinstance(self.stop, int) else None]

    def output_shape(self, *shapes: Shape) -> Shape:
        (x,) = shapes
        if len(x) < 2:
            raise ShapeError(f"{self} takes an input (N, T, ...), got {shape_text(x)}")
        if self.stop is None:
            if x[1] is not None and not -x[1] <= self.start < x[1]:
                raise ShapeError(f"{self} takes an input with such a step, got {shape_text(x)}")
            return (x[0], *x[2:])
        return (x[0], None if x[1] is None else len(self._range(x[1])), *x[2:])

    def compute(self, *inputs: Array, out: Array) -> None:
        (x,) = inputs
        if self.stop is None:
            np.copyto(out, x[:, self.start])
        else:
            steps = self._range(x.shape[1])
            np.copyto(out, x[:, steps.start : steps.start + len(steps)])
