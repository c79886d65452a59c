"""Ids of integers, and integers of ids."""

import torch


def lookup(
    x: torch.Tensor,
    tokens: torch.Tensor,
    ids: torch.Tensor,
    others: int,
    buckets: int = 1,
) -> torch.Tensor:
    """Give the id of each of the ascending tokens, and others to what is none."""
    x = x.long()
    places = torch.searchsorted(tokens, x).clamp(max=len(tokens) - 1)
    known = tokens[places] == x
    if not buckets and not known.all():
        raise ValueError("there are integers that have no id")
    return torch.where(known, ids[places], others + x % max(buckets, 1)).float()


def inverse_lookup(
    x: torch.Tensor,
    tokens: torch.Tensor,
    unknown: int,
    first: int = 1,
    mask_token: int | None = None,
) -> torch.Tensor:
    """Give the token of each id, counted from the first one's."""
    places = x.trunc() - first
    known = (places >= 0) & (places < len(tokens))
    found = tokens[torch.where(known, places, 0.0).long()]
    found = torch.where(known, found, unknown)
    return (
        found if mask_token is None else found.masked_fill(x.trunc() == 0, mask_token)
    )
