"""Cells picked, or set beside others, as torch does not."""

import torch


def take_along(x: torch.Tensor, places: torch.Tensor, dim: int) -> torch.Tensor:
    """Give the cells of an axis at some places, negative ones from the end."""
    cells = places.long()
    return x.gather(dim, torch.where(cells < 0, cells + x.shape[dim], cells))


def mirror_pad(
    x: torch.Tensor, padding: tuple[tuple[int, int], ...], edge: bool = False
) -> torch.Tensor:
    """Mirror each axis behind the batch at both ends, with the edge or without."""
    for dim, (before, after) in enumerate(padding, 1):
        skipped = 0 if edge else 1
        front = x.narrow(dim, skipped, before).flip(dim)
        back = x.narrow(dim, x.shape[dim] - skipped - after, after).flip(dim)
        x = torch.cat([front, x, back], dim)
    return x
