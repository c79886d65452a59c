"""Winograd's bound, which is wider than that of a direct sum, alone and in the place of the reference's own."""

from __future__ import annotations

import contextlib

import numpy as np
import pytest

from jit_kernels.blocked.winograd import AT, BT, SIZE, TILE, G
from keydnn import reference
from keydnn.reference import TINY, f64, gamma
from keydnn.reference.windows import same_pads


def pads_of(module, size):
    if module.padding == "same":
        return same_pads(size, module.kernel_size, module.stride, module.dilation)
    return module.padding


# One pass of a transform: a rounding of its constant, one of the product, and at most five of sums.  Two for the
# input, two for the output; one for the weight, which is transformed in float64; bias and residual are two more.
PASS, PASSES = 7, 4


def winograd_bound(module, x, pads):
    """Bound Winograd for inputs of absolute values up to ``x``: gamma_n of what the same formula gives of those.

    Every term of the result has met at most n roundings, the channels' sum among them; what is summed is
    ``|A^T| [(|G| |g| |G^T|) . (|B^T| |d| |B|)] |A|`` (Higham, section 3.1).
    """
    channels, out_h, out_w = x.shape[1], *(n + sum(p) - 2 for n, p in zip(x.shape[2:], pads, strict=True))
    rows, columns = -(-out_h // TILE), -(-out_w // TILE)
    padded = np.zeros((*x.shape[:2], rows * TILE + 2, columns * TILE + 2))
    (top, _), (left, _) = pads
    inner = abs(f64(x))
    padded[:, :, top : top + x.shape[2], left : left + x.shape[3]] = inner
    tiles = np.lib.stride_tricks.sliding_window_view(padded, (SIZE, SIZE), axis=(2, 3))[:, :, ::TILE, ::TILE]
    at, g, bt = abs(AT), abs(G), abs(BT)
    kernels = np.einsum("ai,ocij,bj->ocab", g, abs(f64(module.weight)), g)
    inputs = np.einsum("ai,ncrsij,bj->ncrsab", bt, tiles, bt, optimize=True)
    products = np.einsum("ocab,ncrsab->norsab", kernels, inputs, optimize=True)
    outputs = np.einsum("ia,norsab,jb->norisj", at, products, at, optimize=True)
    whole = outputs.reshape(len(x), module.out_channels, rows * TILE, columns * TILE)[:, :, :out_h, :out_w]
    bias = 0 if module.bias is None else abs(f64(module.bias)).reshape(-1, 1, 1)
    return gamma(PASS * PASSES + channels + 3) * (whole + bias) + TINY


def takes_winograd(module):
    """Tell whether a convolution is one that Winograd can do."""
    plain = module.stride == module.dilation == (1, 1) and module.groups == 1
    return plain and module.kernel_size == (3, 3)


@contextlib.contextmanager
def winograd_in_reference():
    """Let the reference give every convolution that Winograd can do the larger of both bounds."""
    direct = reference.RULES["Conv2d"]

    def conv(module, x):
        bounded = direct(module, x)
        if takes_winograd(module):
            pads = pads_of(module, x.value.shape[2:])
            weight, nothing = abs(f64(module.weight)), np.zeros(module.out_channels)
            passed = reference.conv.conv(x.error, weight, nothing, module.stride, pads, module.dilation, 1)
            bounded.error = np.maximum(bounded.error, passed + winograd_bound(module, x.largest, pads))
        return bounded

    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(reference.RULES, "Conv2d", conv)
        yield
