"""Attention: scores of queries and keys, masked softmax, weighted sums of values, and all of it in one.

Sequences are (N, T, C).  Where there are several heads, the numbers of each are neighbours: C = heads * size.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import numpy as np

from jit_kernels._jit import thread_count
from jit_kernels.attention import (
    additive_scores_f32,
    attention_f32,
    attention_output_f32,
    attention_scores_f32,
    block_rows,
    line_of,
    masked_softmax_f32,
    scratch_numbers,
)
from keydnn.errors import ParameterError, ShapeError
from keydnn.modules.base import (
    Array,
    Module,
    Shape,
    choice,
    flag,
    integer,
    module,
    number,
    shape_text,
    sized,
    tensor,
    want_rank,
    want_size,
)

MASKING = ("add", "replace", "zero")
HIDING = -1e4  # Keras' values are -1e9, -65504 and below
EVERYTHING = np.ones((1, 1, 1, 1), np.float32)  # the mask that hides nothing
LAYOUT = "(N, T, S) or (N, heads, T, S)"  # of scores, weights, masks


def head_size(owner: Module, shape: Shape, heads: int, what: str) -> int | None:
    """Give the size of one head of (N, T, heads * size), None where it is free; ShapeError if heads do not fit."""
    want_rank(owner, shape, 3, f"of {what} (N, T, {heads} * size)")
    if shape[2] is not None and (shape[2] == 0 or shape[2] % heads):
        raise ShapeError(f"{owner} takes {what} (N, T, {heads} * size), got {shape_text(shape)}")
    return None if shape[2] is None else shape[2] // heads


def want_equal(owner: Module, one: Shape, axis: int, other: Shape, other_axis: int) -> None:
    """Raise ShapeError if two sizes are known to differ."""
    if None not in (one[axis], other[other_axis]) and one[axis] != other[other_axis]:
        raise ShapeError(f"{owner} cannot go with inputs {shape_text(one)} and {shape_text(other)}")


def want_pair(owner: Module, q: Shape, k: Shape, heads: int, few: int) -> None:
    """Raise ShapeError unless queries and keys fit, and there are keys at all."""
    sizes = head_size(owner, q, heads, "queries"), head_size(owner, k, few, "keys")
    if None not in sizes and sizes[0] != sizes[1]:
        raise ShapeError(f"{owner} takes heads of one size, got {shape_text(q)} and {shape_text(k)}")
    want_equal(owner, q, 0, k, 0)
    if k[1] == 0:
        raise ShapeError(f"{owner} takes at least one key, got {shape_text(k)}")


def divisor(name: str, value: Any, heads: int) -> int | None:
    """Give a number of heads that each serve several of ``heads``, None if it is as many; ParameterError otherwise."""
    few = heads if value is None else integer(name, value)
    if heads % few:
        raise ParameterError(f"{name} must divide num_heads={heads}, got {few}")
    return None if few == heads else few


class _Masked(Module):
    """What modules share that hide keys from queries.

    Query i sees key j if ``mask`` is not 0 there, if ``j <= i`` where ``is_causal``, and if ``|i - j| < window``.
    """

    is_causal: bool
    window: int | None
    has_mask: bool
    masking: str
    mask_value: float

    def set_masking(self) -> None:
        """Make the parameters canonical."""
        self.set(
            is_causal=flag("is_causal", self.is_causal),
            window=None if self.window is None else integer("window", self.window),
            has_mask=flag("has_mask", self.has_mask),
            masking=choice("masking", self.masking, MASKING),
            mask_value=number("mask_value", self.mask_value),
        )
        if self.mask_value > HIDING:
            raise ParameterError(f"mask_value must be at most {HIDING:g}, so that it hides, got {self.mask_value:g}")

    def want_mask(self, mask: Shape, scores: Shape) -> None:
        """Raise ShapeError unless a mask can be broadcast to scores (N, heads, T, S)."""
        wide = (mask[0], 1, *mask[1:]) if len(mask) == 3 else mask
        fits = len(wide) == 4 and all(m in (None, 1, s) or s is None for m, s in zip(wide, scores, strict=True))
        if not fits:
            raise ShapeError(f"{self} takes a mask {LAYOUT} for scores {shape_text(scores)}, got {shape_text(mask)}")

    def masking_arguments(self) -> tuple[Any, ...]:
        """Give the parameters as kernels take them."""
        add, zero = self.masking == "add", self.masking == "zero"
        return self.is_causal, self.window or 0, add, np.float32(self.mask_value), zero


def with_heads(array: Array) -> Array:
    """Give (N, T, S) as (N, 1, T, S)."""
    return array.reshape(array.shape[0], 1, *array.shape[1:]) if array.ndim == 3 else array


def scratch(numbers: int) -> Array:
    """Give memory for each thread."""
    return np.empty((thread_count(), numbers), np.float32)


@module
class ScaledDotProductAttention(_Masked):
    """``softmax(scale * q @ k.T) @ v`` for every head, as ``torch.nn.functional.scaled_dot_product_attention``.

    Inputs are q (N, T, num_heads * size), k (N, S, num_key_value_heads * size), v (N, S, num_key_value_heads *
    value_size) and, if ``has_mask``, a mask (N, T, S) or (N, heads, T, S), any size of which may be 1: it is 0 where a
    key is hidden from a query.  The output is (N, T, num_heads * value_size).

    Parameters
    ----------
    num_heads
        Heads of the queries.
    num_key_value_heads
        Heads of the keys and values, a divisor of ``num_heads``; None: as many.
    scale
        What scores are multiplied by; None: ``1 / sqrt(size)``.
    is_causal
        Whether query i sees no key behind i.
    window
        Query i sees no key at a distance of ``window`` or more; None: at any distance.
    has_mask
        Whether there is a fourth input, the mask.
    masking
        What becomes of hidden scores: ``"add"`` adds ``mask_value``, ``"replace"`` puts it in their place, ``"zero"``
        does so too and sets their shares to zero.  They differ only for a query that sees no key: it gets the mean of
        all values if its scores are small beside the distance of numbers near ``mask_value`` (64), the same mean, or 0.
    mask_value
        A number far below all scores.

    Keras source: ``keras.layers.MultiHeadAttention``, ``keras.layers.GroupQueryAttention``, ``keras.layers.Attention``.
    """

    num_heads: int
    num_key_value_heads: int | None = None
    scale: float | None = None
    is_causal: bool = False
    window: int | None = None
    has_mask: bool = False
    masking: str = "add"
    mask_value: float = -1e9

    def __post_init__(self) -> None:
        heads = integer("num_heads", self.num_heads)
        self.set_masking()
        self.set(
            num_heads=heads,
            num_key_value_heads=divisor("num_key_value_heads", self.num_key_value_heads, heads),
            scale=None if self.scale is None else number("scale", self.scale),
            arity=4 if self.has_mask else 3,
        )
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        q, k, v, *masks = shapes
        few = self.num_key_value_heads or self.num_heads
        want_pair(self, q, k, self.num_heads, few)
        size = head_size(self, v, few, "values")
        want_equal(self, k, 0, v, 0)
        want_equal(self, k, 1, v, 1)
        for mask in masks:
            self.want_mask(mask, (q[0], self.num_heads, q[1], k[1]))
        return (q[0], q[1], None if size is None else self.num_heads * size)

    def macs(self, *shapes: Shape) -> int:
        q, k, v = (sized(self, shape) for shape in shapes[:3])
        few = self.num_key_value_heads or self.num_heads
        return q[0] * self.num_heads * q[1] * k[1] * (k[2] + v[2]) // few

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        q, k, v, *masks = inputs
        few = self.num_key_value_heads or self.num_heads
        size, value_size, rows = k.shape[2] // few, v.shape[2] // few, block_rows(q.shape[1], k.shape[1])
        mask = with_heads(masks[0]) if masks else EVERYTHING
        memory = scratch(scratch_numbers(rows, k.shape[1], size, value_size))
        scale = np.float32(scale_of(self.scale, size))
        attention_f32(q, k, v, mask, self.num_heads, few, rows, scale, *self.masking_arguments(), memory, out)


def scale_of(scale: float | None, size: int) -> float:
    """Give the scale of scores."""
    return 1 / math.sqrt(size) if scale is None else scale


@module
class AttentionScores(Module):
    """``scale * q @ k.T`` for every head: q (N, T, heads * size), k (N, S, heads * size) to (N, heads, T, S).

    Parameters
    ----------
    num_heads
        Heads of the queries; None: one, and the scores are (N, T, S).
    num_key_value_heads, scale
        As for :class:`ScaledDotProductAttention`.

    Keras source: ``keras.layers.MultiHeadAttention`` called with ``return_attention_scores=True``.
    """

    arity: ClassVar[int | None] = 2
    num_heads: int | None = None
    num_key_value_heads: int | None = None
    scale: float | None = None

    def __post_init__(self) -> None:
        heads = None if self.num_heads is None else integer("num_heads", self.num_heads)
        self.set(
            num_heads=heads,
            num_key_value_heads=divisor("num_key_value_heads", self.num_key_value_heads, heads or 1),
            scale=None if self.scale is None else number("scale", self.scale),
        )
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        q, k = shapes
        want_pair(self, q, k, self.num_heads or 1, self.num_key_value_heads or self.num_heads or 1)
        return (q[0], q[1], k[1]) if self.num_heads is None else (q[0], self.num_heads, q[1], k[1])

    def macs(self, *shapes: Shape) -> int:
        q, k = (sized(self, shape) for shape in shapes)
        return q[0] * q[1] * k[1] * q[2]

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        q, k = inputs
        heads, few = self.num_heads or 1, self.num_key_value_heads or self.num_heads or 1
        size, rows = k.shape[2] // few, block_rows(q.shape[1], k.shape[1])
        memory, scale = scratch(scratch_numbers(rows, k.shape[1], size, 0)), np.float32(scale_of(self.scale, size))
        attention_scores_f32(q, k, heads, few, rows, scale, memory, with_heads(out))


@module
class AdditiveScores(Module):
    """``sum(weight * tanh(scale * (q + k)))``: q (N, T, features), k (N, S, features) to (N, T, S).

    Parameters
    ----------
    features
        Size of queries and keys.
    scale
        What their sums are multiplied by.
    weight
        (features,).

    Keras source: ``keras.layers.AdditiveAttention``, ``keras.layers.Attention(score_mode="concat")``.
    """

    arity: ClassVar[int | None] = 2
    features: int
    scale: float = 1.0
    weight: Array | None = tensor()

    def __post_init__(self) -> None:
        self.set(features=integer("features", self.features), scale=number("scale", self.scale))
        super().__post_init__()

    def tensor_shapes(self) -> dict[str, tuple[int, ...]]:
        return {"weight": (self.features,)}

    def output_shape(self, *shapes: Shape) -> Shape:
        q, k = shapes
        want_pair(self, q, k, 1, 1)
        for shape in shapes:
            want_size(self, shape, 2, self.features, f"(N, T, {self.features})")
        return (q[0], q[1], k[1])

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        additive_scores_f32(*inputs, self.weight, np.float32(self.scale), out)


@module
class MaskedSoftmax(_Masked):
    """Softmax over the keys of scores (N, T, S) or (N, heads, T, S), some of which are hidden.

    Parameters
    ----------
    is_causal, window, has_mask, masking, mask_value
        As for :class:`ScaledDotProductAttention`; the mask is the second input.

    Keras source: ``keras.layers.MultiHeadAttention``, ``keras.layers.AdditiveAttention``.
    """

    is_causal: bool = False
    window: int | None = None
    has_mask: bool = False
    masking: str = "add"
    mask_value: float = -1e9

    def __post_init__(self) -> None:
        self.set_masking()
        self.set(arity=2 if self.has_mask else 1)
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        scores, *masks = shapes
        if len(scores) not in (3, 4) or scores[-1] == 0:
            raise ShapeError(f"{self} takes scores {LAYOUT}, got {shape_text(scores)}")
        for mask in masks:
            self.want_mask(mask, (scores[0], 1, *scores[1:]) if len(scores) == 3 else scores)
        return scores

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        scores, *masks = inputs
        mask = with_heads(masks[0]) if masks else EVERYTHING
        memory = scratch(2 * line_of(scores.shape[-1]))
        masked_softmax_f32(with_heads(scores), mask, *self.masking_arguments(), memory, with_heads(out))


@module
class AttentionOutput(Module):
    """Values summed by weights: (N, heads, T, S) or (N, T, S), and v (N, S, heads * size) to (N, T, heads * size).

    Parameters
    ----------
    num_key_value_heads
        Heads of the values, a divisor of those of the weights; None: as many.

    Keras source: ``keras.layers.MultiHeadAttention``, ``keras.layers.AdditiveAttention``.
    """

    arity: ClassVar[int | None] = 2
    num_key_value_heads: int | None = None

    def __post_init__(self) -> None:
        if self.num_key_value_heads is not None:
            self.set(num_key_value_heads=integer("num_key_value_heads", self.num_key_value_heads))
        super().__post_init__()

    def output_shape(self, *shapes: Shape) -> Shape:
        weights, v = shapes
        if len(weights) not in (3, 4):
            raise ShapeError(f"{self} takes weights {LAYOUT}, got {shape_text(weights)}")
        heads = weights[1] if len(weights) == 4 else 1
        few = self.num_key_value_heads or heads
        if heads is None or few is None or heads % few:
            raise ShapeError(f"{self} takes weights of a multiple of its heads, got {shape_text(weights)}")
        size = head_size(self, v, few, "values")
        want_equal(self, weights, 0, v, 0)
        want_equal(self, weights, -1, v, 1)
        if v[1] == 0:
            raise ShapeError(f"{self} takes at least one value, got {shape_text(v)}")
        return (weights[0], weights[-2], None if size is None else heads * size)

    def launches_only(self, *shapes: Shape) -> bool:
        return True

    def compute(self, *inputs: Array, out: Array) -> None:
        weights, v = with_heads(inputs[0]), inputs[1]
        few = self.num_key_value_heads or weights.shape[1]
        rows = block_rows(weights.shape[2], weights.shape[3])
        memory = scratch(scratch_numbers(rows, v.shape[1], 0, v.shape[2] // few))
        attention_output_f32(weights, v, few, rows, memory, out)
