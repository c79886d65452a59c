"""Axes in another size."""

import torch


def resample(
    x: torch.Tensor, dim: int, cells: torch.Tensor, weights: torch.Tensor
) -> torch.Tensor:
    """Give an axis new cells, each a weighted sum of some (outputs, terms) of it."""
    terms = x.movedim(dim, -1)[..., cells]
    return (terms * weights).sum(-1).movedim(-1, dim)
