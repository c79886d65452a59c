"""Encodings of ids."""

import torch


def one_hot(ids: torch.Tensor, classes: int) -> torch.Tensor:
    """Tell which class each id is of; of none if it is not in 0 ... classes - 1."""
    return ids.long().unsqueeze(-1) == torch.arange(classes, device=ids.device)
