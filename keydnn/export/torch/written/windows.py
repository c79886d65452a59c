"""Padding and pooling as Keras has them."""

import torch
import torch.nn.functional as F


def same_pad(
    x: torch.Tensor,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...] | None = None,
    value: float = 0.0,
) -> torch.Tensor:
    """Pad as Keras does for padding="same": the odd cell goes behind."""
    pads: list[int] = []
    for axis in reversed(range(len(kernel_size))):
        reach = (kernel_size[axis] - 1) * (dilation[axis] if dilation else 1) + 1
        rest = x.shape[2 + axis] % stride[axis] or stride[axis]
        total = max(reach - rest, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(x, pads, value=value)


def average_pool(
    x: torch.Tensor,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    pads: tuple[int, ...] | None = None,
) -> torch.Tensor:
    """Average the cells of each window, padded ones left out; SAME padding if none."""
    pool = (F.avg_pool1d, F.avg_pool2d, F.avg_pool3d)[len(kernel_size) - 1]
    ones = torch.ones_like(x[:1, :1])
    if pads is None:
        x, ones = (same_pad(each, kernel_size, stride) for each in (x, ones))
    else:
        x, ones = F.pad(x, pads), F.pad(ones, pads)
    return pool(x, kernel_size, stride) / pool(ones, kernel_size, stride)


def masked_mean(
    x: torch.Tensor, mask: torch.Tensor, keepdim: bool = False
) -> torch.Tensor:
    """Average the steps of (N, C, L) at which a mask (N, L) is not 0."""
    kept = (mask != 0).unsqueeze(1)
    total = torch.where(kept, x, 0.0).sum(-1, keepdim=keepdim)
    return total / kept.sum(-1, keepdim=keepdim)
