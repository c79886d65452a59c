"""Attention: ``F.scaled_dot_product_attention``, between functions that split and merge heads, or its parts."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.torch.expressions import Value, call, unless
from keydnn.export.torch.site import Site


def attention(module: Any, site: Site) -> str:
    """Write one call; or its three parts where PyTorch has another answer for a query that sees no key."""
    q, k, v, *masks = site.inputs
    queries, keys = site.shapes[0][1], site.shapes[1][1]
    if not masks and module.window is None:
        return _together(module, site, is_causal=unless(False, module.is_causal))
    sizes = (_size(q, 1, queries), _size(k, 1, keys), f"{q}.device")
    seen = _seen(module, site, sizes, 4, 3)
    if not masks and queries is not None and keys is not None and queries - keys < module.window:
        return _together(module, site, mask=seen)  # every query sees a key: those before its window's end are there
    if module.masking == "add":
        return _together(module, site, mask=_added(module, seen))
    return _summed(site, _softmax(module, site, _scores(module, site), seen), v, module.num_key_value_heads)


def _together(module: Any, site: Site, **options: Value) -> str:
    values = site.inputs[:3]
    few = module.num_key_value_heads
    given = {"heads": module.num_heads, "kv_heads": few, **options, "scale": module.scale}
    return call(site.define("attention"), *values, **given)


def attention_scores(module: Any, site: Site) -> str:
    """Multiply matrices where there is one head."""
    if module.num_heads is not None:
        return _scores(module, site)
    q, k = site.inputs
    product = f"{q} @ {k}.transpose(1, 2)"
    size = site.shapes[1][2]
    usual = f"{k}.shape[2] ** -0.5" if size is None else f"{size}**-0.5"
    scale = usual if module.scale is None else module.scale
    return product if scale == 1 else f"{product} * {scale}"


def _scores(module: Any, site: Site) -> str:
    options = {"heads": module.num_heads, "kv_heads": module.num_key_value_heads, "scale": module.scale}
    return call(site.define("attention_scores"), *site.inputs[:2], **options)


def additive_scores(module: Any, site: Site) -> str:
    """Add every query to every key."""
    q, k = site.inputs
    pairs = f"{q}.unsqueeze(2) + {k}.unsqueeze(1)"
    if module.scale != 1:
        pairs = f"({pairs}) * {module.scale}"
    return f"torch.tanh({pairs}) @ {site.parameter(module.weight)}"


def masked_softmax(module: Any, site: Site) -> str:
    """Hide keys by their scores."""
    scores, shape = site.inputs[0], site.shapes[0]
    if not module.has_mask and module.window is None and not module.is_causal:
        return call("F.softmax", scores, dim=-1)
    sizes = (_size(scores, -2, shape[-2]), _size(scores, -1, shape[-1]), f"{scores}.device")
    return _softmax(module, site, scores, _seen(module, site, sizes, len(shape), 1))


def _softmax(module: Any, site: Site, scores: str, seen: str) -> str:
    """Write the softmax over what is seen."""
    if module.masking == "add":
        return call("F.softmax", f"{scores} + {_added(module, seen)}", dim=-1)
    if module.masking == "zero":
        return call(site.define("masked_softmax"), scores, seen, _hiding(module))
    return call("F.softmax", call("torch.where", seen, scores, _hiding(module)), dim=-1)


def _added(module: Any, seen: str) -> str:
    """Write what is added to scores."""
    return call("torch.where", seen, 0.0, _hiding(module))


def _hiding(module: Any) -> str:
    """Write the score of hidden keys."""
    return np.format_float_scientific(module.mask_value, trim="-", exp_digits=1).replace("+", "")


def _seen(module: Any, site: Site, sizes: tuple[str | int, str | int, str], rank: int, place: int) -> str:
    """Write the condition under which a query sees a key, for scores of a rank; the mask is the input at a place."""
    parts = []
    if module.has_mask:
        mask = site.inputs[place]
        parts.append(f"{mask}.unsqueeze(1) != 0" if len(site.shapes[place]) < rank else f"{mask} != 0")
    if module.is_causal or module.window is not None:
        options = {"is_causal": unless(False, module.is_causal), "window": module.window}
        parts.append(call(site.define("visible"), *sizes, **options))
    return parts[0] if len(parts) == 1 else f"({parts[0]}) & {parts[1]}"


def _size(x: str, axis: int, size: int | None) -> str | int:
    """Write a size, by its number where that is known."""
    return f"{x}.shape[{axis}]" if size is None else size


def attention_output(module: Any, site: Site) -> str:
    """Multiply matrices where there is one head."""
    weights, v = site.inputs
    if len(site.shapes[0]) == 3:
        return f"{weights} @ {v}"
    return _summed(site, weights, v, module.num_key_value_heads)


def _summed(site: Site, weights: str, v: str, few: int | None) -> str:
    return call(site.define("attention_output"), weights, v, kv_heads=few)


RULES = {
    "ScaledDotProductAttention": attention,
    "AttentionScores": attention_scores,
    "AdditiveScores": additive_scores,
    "MaskedSoftmax": masked_softmax,
    "AttentionOutput": attention_output,
}
