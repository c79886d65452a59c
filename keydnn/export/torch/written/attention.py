"""Attention of several heads, the numbers of each being neighbours."""

import torch
import torch.nn.functional as F


def split_heads(x: torch.Tensor, heads: int, repeats: int = 1) -> torch.Tensor:
    """Give (N, T, heads * size) as (N, heads * repeats, T, size)."""
    x = x.unflatten(-1, (heads, -1)).transpose(1, 2)
    return x if repeats == 1 else x.repeat_interleave(repeats, 1)


def merge_heads(x: torch.Tensor) -> torch.Tensor:
    """Give (N, heads, T, size) as (N, T, heads * size)."""
    return x.transpose(1, 2).flatten(2)


def attention(
    q: torch.Tensor,
    k: torch.Tensor,
    v: torch.Tensor,
    heads: int,
    kv_heads: int | None = None,
    mask: torch.Tensor | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> torch.Tensor:
    """Let each head of q (N, T, heads * size) attend to its own of k and v."""
    kv_heads = kv_heads or heads
    repeats = heads // kv_heads
    x = F.scaled_dot_product_attention(
        split_heads(q, heads),
        split_heads(k, kv_heads, repeats),
        split_heads(v, kv_heads, repeats),
        attn_mask=mask,
        is_causal=is_causal,
        scale=scale,
    )
    return merge_heads(x)


def attention_scores(
    q: torch.Tensor,
    k: torch.Tensor,
    heads: int,
    kv_heads: int | None = None,
    scale: float | None = None,
) -> torch.Tensor:
    """Multiply queries and keys, head by head: (N, heads, T, S)."""
    kv_heads = kv_heads or heads
    q, k = split_heads(q, heads), split_heads(k, kv_heads, heads // kv_heads)
    return q @ k.transpose(2, 3) * (k.shape[-1] ** -0.5 if scale is None else scale)


def attention_output(
    shares: torch.Tensor, v: torch.Tensor, kv_heads: int | None = None
) -> torch.Tensor:
    """Sum values by shares (N, heads, T, S), head by head: (N, T, heads * size)."""
    heads = shares.shape[1]
    kv_heads = kv_heads or heads
    return merge_heads(shares @ split_heads(v, kv_heads, heads // kv_heads))


def visible(
    queries: int,
    keys: int,
    device: torch.device,
    is_causal: bool = False,
    window: int | None = None,
) -> torch.Tensor:
    """Tell which query sees which key: none behind it, none as far as the window."""
    i = torch.arange(queries, device=device).unsqueeze(1)
    j = torch.arange(keys, device=device)
    behind = j > i if is_causal else torch.zeros_like(i - j, dtype=torch.bool)
    return ~behind if window is None else ~behind & ((i - j).abs() < window)


def masked_softmax(
    scores: torch.Tensor, seen: torch.Tensor, hidden: float
) -> torch.Tensor:
    """Softmax over the keys that are seen; the others get exactly 0, even all."""
    return F.softmax(torch.where(seen, scores, hidden), dim=-1) * seen
