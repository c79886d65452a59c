"""Activations that torch does not have."""

import torch


def sparsemax(x: torch.Tensor, dim: int, threshold: str = "sum") -> torch.Tensor:
    """Project onto the simplex along an axis; "cumulative" is what Keras 3 computes."""
    x = x.transpose(dim, -1)
    descending = x.sort(-1, descending=True).values
    sums = descending.cumsum(-1)
    place = torch.arange(1, x.shape[-1] + 1, dtype=x.dtype, device=x.device)
    support = 1 + place * descending > sums
    count = support.sum(-1, keepdim=True)
    summed = sums if threshold == "cumulative" else descending
    tau = (torch.where(support, summed, 0.0).sum(-1, keepdim=True) - 1) / count
    return (x - tau).clamp(min=0.0).transpose(dim, -1)


def sparse_plus(x: torch.Tensor) -> torch.Tensor:
    """Give 0 up to -1, x from 1 on, and a parabola between."""
    return torch.where(x <= -1, 0.0, torch.where(x < 1, (x + 1) ** 2 / 4, x))
