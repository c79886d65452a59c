"""Activations as an epilogue: ``activate`` gives the bits of the kernel that its code stands for."""

from __future__ import annotations

import numba
import numpy as np
import pytest

from jit_kernels import activation
from jit_kernels._jit import OPTIONS
from jit_kernels.activation import CODES, activate


@numba.njit("void(f4[::1], i8, f4, f4, f4, f4[::1])", **OPTIONS)
def activate_f32(x, code, a, b, c, out):
    """Do as a kernel does that has an activation for epilogue: write a slice, then activate it."""
    band = out[1 : out.size - 1]
    for i in range(band.size):
        band[i] = x[i]
    activate(code, band, a, b, c)


@pytest.mark.parametrize("name", CODES)
def test_activate_is_the_kernel_bit_for_bit(name):
    special = [np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-40, -1e-40]
    x = np.concatenate([np.linspace(-110, 110, 1000), np.linspace(-4, 4, 1000), special]).astype(np.float32)
    constants = np.float32(0.3), np.float32(0.7), np.float32(0.0 if name == "relu" else 1.5)
    wanted, found = np.empty_like(x), np.full(x.size + 2, 7, np.float32)
    getattr(activation, f"{name}_f32")(x, *constants, wanted)
    activate_f32(x, CODES[name], *constants, found)
    np.testing.assert_array_equal(found[1:-1], wanted)
    np.testing.assert_array_equal(np.signbit(found[1:-1]), np.signbit(wanted))
    assert found[0] == found[-1] == 7


def test_another_code_changes_nothing():
    x, found, zero = np.float32([-1, 2]), np.zeros(4, np.float32), np.float32(0)
    activate_f32(x, -1, zero, zero, zero, found)
    np.testing.assert_array_equal(found, [0, -1, 2, 0])


def test_every_kernel_has_a_code():
    kernels = {name.removesuffix("_f32") for name in vars(activation) if name.endswith("_f32")}
    assert set(CODES) == kernels
