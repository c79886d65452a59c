"""Convolutions."""

from __future__ import annotations

from tests import naive
from tests.oracle.bounds import bias_of, linear_sum


def conv(module, x):
    stride, dilation = module.stride, module.dilation
    pads = module.padding
    if pads == "same":
        pads = naive.same_pads(x.value.shape[2:], module.kernel_size, stride, dilation)

    def operation(x, weight, bias):
        return naive.conv(x, weight, bias, stride, pads, dilation, module.groups)

    return linear_sum(operation, module.weight[0].size, x, module.weight, bias_of(module, module.out_channels))


def conv_transpose(module, x):
    def operation(x, weight, bias):
        return naive.conv_transpose(
            x, weight, bias, module.stride, module.padding, module.output_padding, module.dilation, module.groups
        )

    return linear_sum(operation, module.weight[:, 0].size, x, module.weight, bias_of(module, module.out_channels))


RULES = {f"Conv{axes}d": conv for axes in (1, 2, 3)} | {f"ConvTranspose{axes}d": conv_transpose for axes in (1, 2, 3)}
