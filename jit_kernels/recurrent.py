"""Recurrence kernels, float32: LSTM, GRU and simple cells over the steps of each sequence; plain loops."""

from __future__ import annotations

import functools
from typing import Any

from numba import prange

from jit_kernels import activation
from jit_kernels._elementary import ONE, ZERO, exact, inlined
from jit_kernels._jit import Kernel, device, kernel

GATES = {"lstm": 4, "gru": 3, "gru_reset_before": 3, "simple": 1}
FIELDS = ("reverse", "sequences", "return_state", "has_mask", "zero_masked")


@exact
def unchanged(x: Any, a: Any, b: Any, c: Any) -> Any:
    """``x``."""
    return x


def scalar_function(name: str) -> Any:
    """Give a function of ``jit_kernels/activation.py`` by its name; "" gives one that changes nothing."""
    return getattr(activation, name) if name else unchanged


@device
def multiply(weight: Any, first: int, last: int, x: Any, bias: Any, out: Any) -> None:
    """Write ``weight[row] . x + bias[row]`` of the rows from ``first`` to ``last``."""
    for row in range(first, last):
        total = ZERO
        for i in range(x.size):
            total += weight[row, i] * x[i]
        out[row] = total + bias[row]


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


@functools.cache
def cell_step(cell: str, activation: str, gate: str) -> Any:
    """Give the function that takes a cell from one step to the next: its state (h, c) is changed in place.

    ``x`` is what the input gives each gate, its bias included, ``z`` scratch memory of that size, ``r`` of the state's.
    """
    act, sigma = scalar_function(activation), scalar_function(gate)

    @inlined
    def lstm(x: Any, z: Any, p: Any, h: Any, c: Any) -> None:
        """Gates i, f, g, o: ``c = f c + i g``, ``h = o act(c)``."""
        size = h.size
        xi, xf, xg, xo = x[:size], x[size : 2 * size], x[2 * size : 3 * size], x[3 * size :]
        zi, zf, zg, zo = z[:size], z[size : 2 * size], z[2 * size : 3 * size], z[3 * size :]
        for u in range(size):
            i = sigma(xi[u] + zi[u], p[3], p[4], p[5])
            f = sigma(xf[u] + zf[u], p[3], p[4], p[5])
            g = act(xg[u] + zg[u], p[0], p[1], p[2])
            c[u] = f * c[u] + i * g
        for u in range(size):
            h[u] = sigma(xo[u] + zo[u], p[3], p[4], p[5]) * act(c[u], p[0], p[1], p[2])

    @inlined
    def gru_gates(x: Any, z: Any, p: Any, h: Any, c: Any) -> None:
        """Gates r and z, in place of their sums; ``c = r h``."""
        size = h.size
        xr, xz, zr, zz = x[:size], x[size : 2 * size], z[:size], z[size : 2 * size]
        for u in range(size):
            zr[u] = sigma(xr[u] + zr[u], p[3], p[4], p[5])
            zz[u] = sigma(xz[u] + zz[u], p[3], p[4], p[5])
            c[u] = zr[u] * h[u]

    @inlined
    def gru_after(x: Any, z: Any, p: Any, h: Any, c: Any) -> None:
        """``n = act(x_n + r z_n)``, ``h = z h + (1 - z) n``."""
        size = h.size
        xn, zr, zz, zn = x[2 * size :], z[:size], z[size : 2 * size], z[2 * size :]
        for u in range(size):
            n = act(xn[u] + zr[u] * zn[u], p[0], p[1], p[2])
            h[u] = zz[u] * h[u] + (ONE - zz[u]) * n

    @inlined
    def gru_before(x: Any, z: Any, p: Any, h: Any, c: Any) -> None:
        """``n = act(x_n + z_n)``, ``h = z h + (1 - z) n``."""
        size = h.size
        xn, zz, zn = x[2 * size :], z[size : 2 * size], z[2 * size :]
        for u in range(size):
            n = act(xn[u] + zn[u], p[0], p[1], p[2])
            h[u] = zz[u] * h[u] + (ONE - zz[u]) * n

    @inlined
    def simple(x: Any, z: Any, p: Any, h: Any, c: Any) -> None:
        """``h = act(x + z)``."""
        for u in range(h.size):
            h[u] = act(x[u] + z[u], p[0], p[1], p[2])

    @device
    def step_lstm(x: Any, weight: Any, bias: Any, p: Any, h: Any, c: Any, z: Any) -> None:
        multiply(weight, 0, z.size, h, bias, z)
        lstm(x, z, p, h, c)

    @device
    def step_gru(x: Any, weight: Any, bias: Any, p: Any, h: Any, c: Any, z: Any) -> None:
        multiply(weight, 0, z.size, h, bias, z)
        gru_gates(x, z, p, h, c)
        gru_after(x, z, p, h, c)

    @device
    def step_gru_reset_before(x: Any, weight: Any, bias: Any, p: Any, h: Any, c: Any, z: Any) -> None:
        multiply(weight, 0, 2 * h.size, h, bias, z)
        gru_gates(x, z, p, h, c)
        multiply(weight, 2 * h.size, z.size, c, bias, z)
        gru_before(x, z, p, h, c)

    @device
    def step_simple(x: Any, weight: Any, bias: Any, p: Any, h: Any, c: Any, z: Any) -> None:
        multiply(weight, 0, z.size, h, bias, z)
        simple(x, z, p, h, c)

    steps = {"lstm": step_lstm, "gru": step_gru, "gru_reset_before": step_gru_reset_before, "simple": step_simple}
    return steps[cell]


@functools.cache
def recurrent_f32(cell: str, activation: str, gate: str) -> Kernel:
    """Give the kernel of a cell of ``GATES`` with two functions of ``jit_kernels/activation.py`` ("": none)."""
    step = cell_step(cell, activation, gate)
    states = 2 if cell == "lstm" else 1
    name = "_".join(filter(None, (cell, activation or "linear", gate if cell != "simple" else "", "f32")))
    signature = "f4[:,:,::1], f4[:,::1], f4[::1], f4[:,::1], f4[:,::1], f4[:,::1], i8[::1], f4[::1]"

    @kernel(f"void({signature}, f4[:,::1], f4[:,:,::1])", name=name, writes=2)
    def run(
        x: Any, weight: Any, bias: Any, mask: Any, h0: Any, c0: Any, options: Any, p: Any, scratch: Any, out: Any
    ) -> None:
        """Run a layer over all steps of each sequence.

        Parameters
        ----------
        x
            What the input gives each gate, biases included: (N, T, gates * U), gate after gate.
        weight, bias
            Of the state: (gates * U, U) and (gates * U).
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
