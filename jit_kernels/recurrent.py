"""Recurrence kernels, float32: LSTM, GRU and simple cells over the steps of each sequence; plain loops."""

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from numba import prange

from jit_kernels import activation
from jit_kernels._elementary import ONE, ZERO, exact, exp_of_negative, inlined, short_tanh, sigmoid_times_tanh
from jit_kernels._jit import Kernel, device, kernel

GATES = {"lstm": 4, "gru": 3, "gru_reset_before": 3, "simple": 1}
FIELDS = ("reverse", "sequences", "return_state", "has_mask", "zero_masked")


@exact
def unchanged(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x``."""
    return x


@exact
def sigmoid(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``1 / (1 + exp(-x))``."""
    return ONE / (ONE + exp_of_negative(x))


@exact
def tanh(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``tanh(x)``."""
    return short_tanh(x)


@exact
def gated_tanh(x: Any, y: Any, p: Any) -> Any:
    """``sigmoid(x) * tanh(y)``."""
    return sigmoid_times_tanh(x, y)


def scalar_function(name: str) -> Any:
    """Give a function of ``jit_kernels/activation.py`` by its name; "" gives one that changes nothing."""
    return {"": unchanged, "sigmoid": sigmoid, "tanh": tanh}.get(name) or getattr(activation, name)


def gated(activation: str, gate: str) -> Any:
    """Give the function ``gate(x) * activation(y)`` of x, y and the parameters of both."""
    if (activation, gate) == ("tanh", "sigmoid"):
        return gated_tanh
    act, sigma = scalar_function(activation), scalar_function(gate)

    @exact
    def product(x: Any, y: Any, p: Any) -> Any:
        return sigma(x, p[3], p[4], p[5]) * act(y, p[0], p[1], p[2])

    return product


class Cell(NamedTuple):
    """The parts of a cell's step; each works on rows of U numbers a gate, with parameters p of both functions.

    Attributes
    ----------
    gates
        Takes the sums z of all gates, or, of a GRU, of r and z: (z, p, h, c), and changes h and c, or z and c.
    output
        Of a GRU: takes what the input gives n, all sums (r and z as gates) and h: (x, z, p, h, out); out may be h.
    """

    gates: Any
    output: Any


@functools.cache
def cell_of(cell: str, activation: str, gate: str) -> Cell:
    """Give a cell's functions."""
    act, sigma, product = scalar_function(activation), scalar_function(gate), gated(activation, gate)

    @inlined
    def lstm(z: Any, p: Any, h: Any, c: Any) -> None:
        """Gates i, f, g, o: ``c = f c + i g``, ``h = o act(c)``."""
        size = h.size
        i, f, g, o = z[:size], z[size : 2 * size], z[2 * size : 3 * size], z[3 * size : 4 * size]
        for u in range(size):
            c[u] = sigma(f[u], p[3], p[4], p[5]) * c[u] + product(i[u], g[u], p)
            h[u] = product(o[u], c[u], p)

    @inlined
    def gru_gates(z: Any, p: Any, h: Any, c: Any) -> None:
        """Gates r and z, in place of their sums; ``c = r h``."""
        size = h.size
        r, update = z[:size], z[size : 2 * size]
        for u in range(size):
            r[u] = sigma(r[u], p[3], p[4], p[5])
            update[u] = sigma(update[u], p[3], p[4], p[5])
            c[u] = r[u] * h[u]

    @inlined
    def gru_after(x: Any, z: Any, p: Any, h: Any, out: Any) -> None:
        """``n = act(x + r z_n)``, ``h = z h + (1 - z) n``."""
        size = h.size
        r, update, own = z[:size], z[size : 2 * size], z[2 * size : 3 * size]
        for u in range(size):
            n = act(x[u] + r[u] * own[u], p[0], p[1], p[2])
            out[u] = update[u] * h[u] + (ONE - update[u]) * n

    @inlined
    def gru_before(x: Any, z: Any, p: Any, h: Any, out: Any) -> None:
        """``n = act(z_n)``, ``h = z h + (1 - z) n``."""
        size = h.size
        update, own = z[size : 2 * size], z[2 * size : 3 * size]
        for u in range(size):
            n = act(own[u], p[0], p[1], p[2])
            out[u] = update[u] * h[u] + (ONE - update[u]) * n

    @inlined
    def simple(z: Any, p: Any, h: Any, c: Any) -> None:
        """``h = act(z)``."""
        for u in range(h.size):
            h[u] = act(z[u], p[0], p[1], p[2])

    return {
        "lstm": Cell(lstm, None), "gru": Cell(gru_gates, gru_after), "gru_reset_before": Cell(gru_gates, gru_before),
        "simple": Cell(simple, None),
    }[cell]  # fmt: skip


@device
def multiply(weight: Any, first: int, last: int, h: Any, start: Any, out: Any) -> None:
    """Write ``start[row] + weight[row] . h`` of the rows from ``first`` to ``last``."""
    for row in range(first, last):
        total = ZERO
        for i in range(h.size):
            total += weight[row, i] * h[i]
        out[row] = total + start[row]


@inlined
def copy(x: Any, out: Any) -> None:
    """Copy numbers."""
    for i in range(out.size):
        out[i] = x[i]


@inlined
def fill(value: Any, out: Any) -> None:
    """Write one number everywhere."""
    for i in range(out.size):
        out[i] = value


def kernel_name(stem: str, *parts: str) -> str:
    """Give a kernel's name."""
    return "_".join((stem, "f32", *(part or "linear" for part in parts)))


@functools.cache
def recurrent_f32(cell: str, activation: str, gate: str) -> Kernel:
    """Give the kernel of a cell of ``GATES`` with two functions of ``jit_kernels/activation.py`` ("": none)."""
    gates, output = cell_of(cell, activation, gate)
    is_gru, is_before, states = output is not None, cell == "gru_reset_before", 2 if cell == "lstm" else 1
    inputs = "f4[:,:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1], i8[::1], f4[::1]"
    name = kernel_name("recurrent", cell, activation, gate)

    @device
    def step(x: Any, weight: Any, bias: Any, p: Any, h: Any, c: Any, z: Any) -> None:
        """Go one step on: h and c are changed."""
        size, both = h.size, 2 * h.size
        if not is_gru:
            multiply(weight, 0, z.size, h, x, z)
            gates(z, p, h, c)
        else:
            multiply(weight, 0, both, h, x, z)
            gates(z, p, h, c)
            if is_before:
                multiply(weight, both, both + size, c, x, z)
            else:
                multiply(weight, both, both + size, h, bias, z)
            output(x[both:], z, p, h, h)

    @kernel(f"void({inputs}, f4[:,::1], f4[:,:,::1])", name=name, writes=2, counted=False)
    def run(
        x: Any, weight: Any, bias: Any, mask: Any, h0: Any, c0: Any, options: Any, p: Any, scratch: Any, out: Any
    ) -> None:
        """Run a layer over all steps of each sequence.

        Parameters
        ----------
        x
            What the input gives each gate, biases included: (N, T, gates * U), gate after gate.
        weight, bias
            Of the state: (gates * U, U), and (gates * U), of which a GRU that resets after its product takes n's.
        mask
            (N, T), 0 where a step is passed over; any array of rank 2 if there is none.
        h0, c0
            The first state, (N, U).
        options
            As ``FIELDS`` says.
        p
            Three parameters of the activation, three of the gates' function.
        scratch
            (N, (gates + 2) * U).
        out
            (N, R, U): the outputs of all steps, or the last one, and then the last state (h, c) if asked for.

        Parallel axis: sequences.
        """
        reverse, sequences, return_state, has_mask, zero_masked = (
            options[0], options[1], options[2], options[3], options[4])  # fmt: skip
        size, steps, rows = h0.shape[1], x.shape[1], out.shape[1]
        for n in prange(x.shape[0]):
            h, c, z = scratch[n, :size], scratch[n, size : 2 * size], scratch[n, 2 * size :]
            copy(h0[n], h)
            copy(c0[n], c)
            is_zero = True  # the output of the step before; of a masked step it is given again
            for place in range(steps):
                t = steps - 1 - place if reverse else place
                if not has_mask or mask[n, t] != ZERO:
                    step(x[n, t], weight, bias, p, h, c, z)
                    is_zero = False
                elif zero_masked:
                    is_zero = True
                if sequences or place == steps - 1:
                    if is_zero:
                        fill(ZERO, out[n, place if sequences else 0])
                    else:
                        copy(h, out[n, place if sequences else 0])
            if return_state:
                copy(h, out[n, rows - states])
                if states == 2:
                    copy(c, out[n, rows - 1])

    return run
