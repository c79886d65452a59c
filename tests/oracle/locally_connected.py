"""Locally connected layers."""

from __future__ import annotations

import math

import numpy as np

from tests import naive
from tests.oracle.bounds import linear_sum


def locally_connected(module, x):
    def operation(x, weight, bias):
        return naive.locally_connected(x, weight, bias, module.stride, module.padding)

    bias = np.zeros((module.out_channels, *module.output_size)) if module.bias is None else module.bias
    return linear_sum(operation, module.in_channels * math.prod(module.kernel_size), x, module.weight, bias)


RULES = {"LocallyConnected1d": locally_connected, "LocallyConnected2d": locally_connected}
