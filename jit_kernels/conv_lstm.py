"""Kernels of the convolutional LSTM, float32: what a step does besides its convolution of the state."""

from __future__ import annotations

import functools
from typing import Any

from numba import prange

from jit_kernels._elementary import ONE, ZERO
from jit_kernels._jit import Kernel, kernel
from jit_kernels.recurrent import scalar_function

FIELDS = ("sequences", "return_state", "has_mask", "zero_masked", "front", "top", "left")
VOLUME, VOLUMES = "f4[:,:,:,:,::1]", "f4[:,:,:,:,:,::1]"


@kernel(f"void({VOLUME}, {VOLUME}, i8[::1], {VOLUME}, {VOLUME}, f4[:,::1])", writes=3)
def conv_lstm_begin_f32(h0: Any, c0: Any, options: Any, h: Any, c: Any, given: Any) -> None:
    """Copy the first state, (N, C, D, H, W) each: ``h0`` into ``h``, which has zeros around it, and ``c0`` into ``c``.

    ``given`` (N, C) becomes 0: no step has given an output yet.  Parallel axis: N * C.
    """
    batch, channels, depth, height, width = h0.shape
    front, top, left = options[4], options[5], options[6]
    for plane in prange(batch * channels):
        n, k = plane // channels, plane % channels
        given[n, k] = ZERO
        for d in range(depth):
            for i in range(height):
                for j in range(width):
                    h[n, k, front + d, top + i, left + j] = h0[n, k, d, i, j]
                    c[n, k, d, i, j] = c0[n, k, d, i, j]


@functools.cache
def conv_lstm_step_f32(activation: str, gate: str) -> Kernel:
    """Give the kernel of a step with two functions of ``jit_kernels/activation.py`` ("": none)."""
    act, sigma = scalar_function(activation), scalar_function(gate)
    name = "_".join(filter(None, ("conv_lstm_step", activation or "linear", gate or "linear", "f32")))
    signature = f"{VOLUMES}, {VOLUME}, f4[:,::1], i8, i8, i8[::1], f4[::1], {VOLUME}, {VOLUME}, f4[:,::1], {VOLUMES}"

    @kernel(f"void({signature})", name=name, writes=4)
    def run(
        x: Any, z: Any, mask: Any, t: int, place: int, options: Any, p: Any, h: Any, c: Any, given: Any, out: Any
    ) -> None:
        """Take the state from one step to the next: ``c = f c + i g``, ``h = o act(c)``, gates i, f, g, o.

        Parameters
        ----------
        x
            What the input gives each gate, biases included: (N, T, 4 * C, D, H, W), gate after gate.
        z
            What the state gives each gate: (N, 4 * C, D, H, W).
        mask
            (N, T), 0 where a step is passed over; any array of rank 2 if there is none.
        t, place
            The step, and its place in the order of computation.
        options
            As ``FIELDS`` says; ``front``, ``top`` and ``left`` are the zeros before the state in ``h``.
        p
            Three parameters of the activation, three of the gates' function.
        h, c
            The state; see ``conv_lstm_begin_f32``.
        given
            (N, C): 0 as long as the output is zeros.
        out
            (N, R, C, D, H, W): the outputs of all steps, or the last one, and then the last h and c if asked for.

        Parallel axis: N * C.
        """
        sequences, return_state, has_mask, zero_masked = options[0], options[1], options[2], options[3]
        front, top, left = options[4], options[5], options[6]
        batch, channels, depth, height, width = c.shape
        is_last = place == x.shape[1] - 1
        rows = out.shape[1]
        for plane in prange(batch * channels):
            n, k = plane // channels, plane % channels
            if not has_mask or mask[n, t] != ZERO:
                given[n, k] = ONE
                for d in range(depth):
                    for row in range(height):
                        xi, xf = x[n, t, k, d, row], x[n, t, channels + k, d, row]
                        xg, xo = x[n, t, 2 * channels + k, d, row], x[n, t, 3 * channels + k, d, row]
                        zi, zf = z[n, k, d, row], z[n, channels + k, d, row]
                        zg, zo = z[n, 2 * channels + k, d, row], z[n, 3 * channels + k, d, row]
                        carried, state = c[n, k, d, row], h[n, k, front + d, top + row]
                        for j in range(width):
                            i = sigma(xi[j] + zi[j], p[3], p[4], p[5])
                            f = sigma(xf[j] + zf[j], p[3], p[4], p[5])
                            g = act(xg[j] + zg[j], p[0], p[1], p[2])
                            carried[j] = f * carried[j] + i * g
                        for j in range(width):
                            o = sigma(xo[j] + zo[j], p[3], p[4], p[5])
                            state[left + j] = o * act(carried[j], p[0], p[1], p[2])
            elif zero_masked:
                given[n, k] = ZERO
            target = place if sequences else 0
            for d in range(depth):
                for row in range(height):
                    state = h[n, k, front + d, top + row]
                    for j in range(width):
                        if sequences or is_last:
                            out[n, target, k, d, row, j] = state[left + j] if given[n, k] != ZERO else ZERO
                        if is_last and return_state:
                            out[n, rows - 2, k, d, row, j] = state[left + j]
                            out[n, rows - 1, k, d, row, j] = c[n, k, d, row, j]

    return run
