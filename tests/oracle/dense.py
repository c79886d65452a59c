"""Linear."""

from __future__ import annotations

from tests import naive
from tests.oracle.bounds import bias_of, linear_sum


def linear(module, x):
    return linear_sum(naive.linear, module.in_features, x, module.weight, bias_of(module, module.out_features))


RULES = {"Linear": linear}
