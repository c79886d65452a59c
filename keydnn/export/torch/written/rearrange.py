"""Cells of images with the channels last, in another order."""

import torch


def depth_to_space(x: torch.Tensor, size: int) -> torch.Tensor:
    """Make blocks of the channels: (N, H, W, size * size * C) to (N, ..., C)."""
    x = x.unflatten(3, (size, size, -1)).permute(0, 1, 3, 2, 4, 5)
    return x.flatten(3, 4).flatten(1, 2)


def space_to_depth(x: torch.Tensor, size: int) -> torch.Tensor:
    """Make channels of blocks: (N, H, W, C) to (N, ..., size * size * C)."""
    x = x.unflatten(2, (-1, size)).unflatten(1, (-1, size))
    return x.permute(0, 1, 3, 2, 4, 5).flatten(3)


def extract_patches(
    x: torch.Tensor,
    kernel_size: tuple[int, ...],
    stride: tuple[int, ...],
    dilation: tuple[int, ...] | None = None,
) -> torch.Tensor:
    """Give the cells of each window of (N, ..., C), the channels of each together."""
    axes = len(kernel_size)
    for axis in range(axes):
        step = dilation[axis] if dilation else 1
        x = x.unfold(1 + axis, (kernel_size[axis] - 1) * step + 1, stride[axis])
        x = x[..., ::step]
    return x.movedim(1 + axes, -1).flatten(1 + axes)
