"""Axes in another size."""

import torch


def resample(
    x: torch.Tensor, dim: int, cells: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Make each cell of an axis a sum of some (outputs, terms) of it; -1 is none."""
    terms = x.movedim(dim, -1)[..., cells] * weights
    return torch.where(cells < 0, 0.0, terms).sum(-1).movedim(-1, dim)
