"""MultiHeadAttention, GroupQueryAttention, Attention, AdditiveAttention."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.errors import ShapeError
from keydnn.modules.activation import Sigmoid
from keydnn.modules.attention import (
    AdditiveScores,
    AttentionOutput,
    AttentionScores,
    MaskedSoftmax,
    ScaledDotProductAttention,
)
from keydnn.modules.base import Module, shape_text
from keydnn.modules.dense import Linear
from keydnn.modules.merge import Multiply
from keydnn.modules.shape import Permute, Reshape

LOWEST = -0.7 * 3.38953e38  # what keras.ops.dot_product_attention puts in the place of hidden scores


@dataclass(frozen=True)
class Masking:
    """What is hidden from queries, as modules take it: all masks made one, and the rest as parameters."""

    mask: Value | None
    is_causal: bool = False
    window: int | None = None
    masking: str = "add"
    mask_value: float = -1e9

    @property
    def inputs(self) -> tuple[Value, ...]:
        """The mask, if there is one."""
        return () if self.mask is None else (self.mask,)

    @property
    def parameters(self) -> dict[str, Any]:
        """Arguments of the modules."""
        fields = ("is_causal", "window", "masking", "mask_value")
        return {name: getattr(self, name) for name in fields} | {"has_mask": self.mask is not None}


@dataclass(frozen=True)
class Heads:
    """Options of a layer with heads."""

    count: int
    value_size: int
    use_bias: bool
    use_gate: bool
    dropout: float
    window: int | None


# --- MultiHeadAttention, GroupQueryAttention --------------------------------------------------------------------------


@builds("MultiHeadAttention")
def multi_head_attention(call: LayerCall) -> Sequence[Value]:
    """Four projections around the attention; axes that do not take part count as heads."""
    size, heads = call.integer("key_dim"), call.integer("num_heads")
    value_size = size if call.option("value_dim") is None else call.integer("value_dim")
    options = _heads(call, heads, value_size)
    call.ignore("query_shape", "key_shape", "value_shape")  # where Keras 2 keeps what its layers were built for
    call.boolean("softmax_robust_masking", False)
    target, axes = call.option("output_shape"), call.option("attention_axes")
    target = [target] if type(target) is int else target or None
    axes = [axes] if type(axes) is int else axes or None
    for key, value in (("output_shape", target), ("attention_axes", axes)):
        if value is not None and not (isinstance(value, list) and all(type(item) is int for item in value)):
            call.refuse(key, "integers are expected")
            call.stop()
    arguments = _arguments(call, options)
    masking = _hiding(call, arguments, options, (3, 7), call.boolean("softmax_robust_masking", False))
    q, k, v = arguments.q, arguments.k, arguments.v
    if len({len(x.shape) for x in (q, k, v)}) > 1:
        shapes = ", ".join(shape_text(x.shape) for x in (q, k, v))
        raise ShapeError(f"takes query, key and value of one rank, got {shapes}")
    axes = _axes(call, axes, len(q.shape))
    others = [axis for axis in range(1, len(q.shape) - 1) if axis not in axes]
    if len(q.shape) > 3 and (masking.mask or masking.is_causal or masking.window or arguments.scores):
        found = f"an input of rank {len(q.shape)} with masks or attention scores"
        call.obstacle(f"on {found}", found)
        call.stop()
    projected = []
    for x, part, width in ((q, "query", size), (k, "key", size), (v, "value", value_size)):
        x = _project(call, x, part, heads, width, options.use_bias)
        projected.append(_arranged(call, x, axes, others, part))
    count = heads * math.prod(call.size(q, axis) for axis in others)
    y, *scores = _attend(call, arguments, masking, projected, count, count)
    y = _arranged_back(call, y, q, axes, others, heads * value_size)
    return [_finish(call, options, arguments.q, y, target), *scores]


@builds("GroupQueryAttention", "GroupedQueryAttention")
def group_query_attention(call: LayerCall) -> Sequence[Value]:
    """As MultiHeadAttention, with fewer heads of keys and values."""
    size, heads = call.integer("head_dim"), call.integer("num_query_heads")
    few = call.integer("num_key_value_heads")
    options = _heads(call, heads, size)
    arguments = _arguments(call, options)
    masking = _hiding(call, arguments, options, (3, 8), is_robust=False)
    if len(arguments.q.shape) != 3:
        raise ShapeError(f"takes queries (N, T, C), got {shape_text(arguments.q.shape)}")
    parts = ((arguments.q, "query", heads), (arguments.k, "key", few), (arguments.v, "value", few))
    projected = [_project(call, x, part, count, size, options.use_bias) for x, part, count in parts]
    y, *scores = _attend(call, arguments, masking, projected, heads, few)
    return [_finish(call, options, arguments.q, y, None), *scores]


def _heads(call: LayerCall, count: int, value_size: int) -> Heads:
    """Read the options that both classes have."""
    call.ignore("flash_attention")
    window = None if call.option("sliding_window") is None else call.integer("sliding_window")
    use_bias, use_gate = call.boolean("use_bias", True), call.boolean("use_gate", False)
    return Heads(count, value_size, use_bias, use_gate, call.number("dropout", 0.0), window)


@dataclass(frozen=True)
class Arguments:
    """Arguments of a call: tensors, their masks, and whether the shares are a second output."""

    q: Value
    k: Value
    v: Value
    masks: Sequence[Value | None]  # of query, value, key
    attention_mask: Value | None
    is_causal: bool
    scores: bool


def _arguments(call: LayerCall, options: Heads) -> Arguments:
    """Read the arguments; those of Keras 3 have masks among them."""
    q, v, k = call.tensor("query", 0), call.tensor("value", 1), call.tensor("key", 2)
    if q is None or v is None:
        raise ShapeError("takes a query and a value")
    names, after = ("query_mask", "value_mask", "key_mask"), 3
    masks: list[Value | None] = [None] * 3
    if call.version >= (3,):
        masks, after = [call.tensor(name, place) for place, name in enumerate(names, 3)], 6
    if call.class_name == "MultiHeadAttention" and call.version >= (3, 8) and masks[0] is not None:
        call.rewrite("query_mask has no effect, as in Keras 3.8 and later: the query's own mask counts")
        masks[0] = None
    if call.version >= (2, 10):  # before, masks of the inputs play no part
        came = (q.mask, v.mask, None if k is None else k.mask)
        masks = [given or implicit for given, implicit in zip(masks, came, strict=True)]
    arguments = Arguments(
        q=q,
        k=v if k is None else k,
        v=v,
        masks=masks,
        attention_mask=call.tensor("attention_mask", after),
        is_causal=bool(call.argument("use_causal_mask", after + 3, False)),
        scores=bool(call.argument("return_attention_scores", after + 1, False)),
    )
    _refuse_training(call, after + 2, options.dropout)
    call.inputs()
    return arguments


def _refuse_training(call: LayerCall, place: int | None, dropout: float) -> None:
    if call.argument("training", place) and dropout:
        call.obstacle("called with training=True", "called with training=True, where dropout is random")


def _hiding(
    call: LayerCall, arguments: Arguments, options: Heads, fused_from: tuple[int, ...], is_robust: bool
) -> Masking:
    """Give what is hidden, as the version of Keras that wrote the file has it."""
    is_fused = call.version >= fused_from and not options.dropout and not arguments.scores
    if is_fused and len(arguments.q.shape) == 3:
        masking, value = "replace", LOWEST
    elif call.version >= (3, 10):
        masking, value = "zero", -1e9
    else:
        masking, value = "replace" if is_robust else "add", -1e9
    mask = _one_mask(call, arguments.masks, arguments.attention_mask)
    return Masking(mask, arguments.is_causal, options.window, masking, value)


def _one_mask(call: LayerCall, masks: Sequence[Value | None], given: Value | None) -> Value | None:
    """Give the product of all masks: of the queries (N, T), values and keys (N, S), and the one given."""
    rank = 3 if given is None else len(given.shape)
    if rank not in (3, 4) or any(mask and len(mask.shape) != 2 for mask in masks):
        shapes = ", ".join(shape_text(mask.shape) for mask in (*masks, given) if mask)
        call.obstacle(
            f"with masks {shapes}", "masks (N, T) and an attention mask (N, T, S) or (N, heads, T, S) expected"
        )
        call.stop()
    factors, seen = [], set()
    for name, shape, mask in zip(("query", "value", "key"), ((-1, 1), (1, -1), (1, -1)), masks, strict=True):
        if mask is not None and (mask.name, shape) not in seen:
            seen.add((mask.name, shape))
            factors.append(call.emit(Reshape((1,) * (rank - 3) + shape), mask, part=f"{name}_mask"))
    factors += [given] if given else []
    return call.emit(Multiply(), *factors, part="mask") if len(factors) > 1 else next(iter(factors), None)


def _axes(call: LayerCall, axes: Sequence[int] | None, rank: int) -> list[int]:
    """Give the axes over which queries attend, ascending."""
    found = sorted(axis + rank if axis < 0 else axis for axis in axes or range(1, rank - 1))
    negative = call.version < (3,) and axes and min(axes) < 0
    if negative or not found or len(set(found)) < len(found) or not 1 <= found[0] <= found[-1] < rank - 1:
        call.refuse(
            "attention_axes", f"axes of an input of rank {rank} between the batch and the features are expected"
        )
        call.stop()
    return found


def _project(call: LayerCall, x: Value, name: str, heads: int, size: int, use_bias: bool) -> Value:
    """Emit the projection to all heads: kernel (features, heads, size)."""
    features, width = call.size(x, len(x.shape) - 1), heads * size
    parts = (f"{name}_dense", f"_{name}_dense", name)
    kernel, *bias = call.weights(part=parts, kernel=(features, heads, size), bias=(heads, size) if use_bias else None)
    weight, bias = kernel.reshape(features, width).T, [array.reshape(-1) for array in bias]
    module = Linear(features, width, use_bias, weight=weight, bias=next(iter(bias), None))
    return call.emit(module, x, part=name)


def _arranged(call: LayerCall, x: Value, axes: Sequence[int], others: Sequence[int], part: str) -> Value:
    """Give (N, ..., features) as (N, cells of ``axes``, cells of ``others`` * features)."""
    if others:
        x = call.emit(Permute((0, *axes, *others, len(x.shape) - 1)), x, part=f"{part}.axes")
    if len(x.shape) == 3:
        return x
    width = math.prod(call.size(x, axis) for axis in range(1 + len(axes), len(x.shape)))
    return call.emit(Reshape((-1, width)), x, part=f"{part}.cells")


def _arranged_back(
    call: LayerCall, y: Value, q: Value, axes: Sequence[int], others: Sequence[int], width: int
) -> Value:
    """Undo :func:`_arranged` for a result that has the cells of the queries."""
    if len(q.shape) == 3:
        return y
    order = (*axes, *others)
    free = [axis for axis in order if q.shape[axis] is None]
    sizes = tuple(-1 if axis in free[:1] else call.size(q, axis) for axis in order)
    y = call.emit(Reshape((*sizes, width)), y, part="output.cells")
    back = tuple(1 + order.index(axis) for axis in range(1, len(order) + 1))
    return call.emit(Permute((0, *back, len(order) + 1)), y, part="output.axes") if others else y


def _attend(
    call: LayerCall, arguments: Arguments, masking: Masking, projected: Sequence[Value], heads: int, few: int
) -> list[Value]:
    """Emit the attention itself; its result, and the shares if they are wanted."""
    q, k, v = projected
    if not arguments.scores:
        module = ScaledDotProductAttention(heads, few, **masking.parameters)
        return [call.emit(module, q, k, v, *masking.inputs, part="attention")]
    scores = call.emit(AttentionScores(heads, few), q, k, part="products")
    shares = call.emit(MaskedSoftmax(**masking.parameters), scores, *masking.inputs, part="scores")
    return [call.emit(AttentionOutput(few), shares, v, part="attention"), shares]


def _finish(call: LayerCall, options: Heads, q: Value, y: Value, target: Sequence[int] | None) -> Value:
    """Emit the gate and the last projection: kernel (heads, value_size, *target)."""
    heads, size = options.count, options.value_size
    if options.use_gate:
        gate = _project(call, q, "gate", heads, size, options.use_bias)
        y = call.emit(Multiply(), y, call.emit(Sigmoid(), gate, part="gate.activation"), part="gated")
    shape = tuple(target or (call.size(q, len(q.shape) - 1),))
    kernel, *bias = call.weights(
        part=("output_dense", "_output_dense", "attention_output"),
        kernel=(heads, size, *shape),
        bias=shape if options.use_bias else None,
    )
    count, width = heads * size, math.prod(shape)
    bias = [array.reshape(-1) for array in bias]
    module = Linear(count, width, options.use_bias, weight=kernel.reshape(count, width).T, bias=next(iter(bias), None))
    if len(shape) == 1:
        return _with_mask(call, call.emit(module, y), q)
    free = [axis for axis in range(1, len(q.shape) - 1) if q.shape[axis] is None]
    sizes = tuple(-1 if axis in free[:1] else call.size(q, axis) for axis in range(1, len(q.shape) - 1))
    return _with_mask(call, call.emit(Reshape((*sizes, *shape)), call.emit(module, y, part="output")), q)


def _with_mask(call: LayerCall, y: Value, q: Value) -> Value:
    """Give the output the query's mask."""
    return dataclasses.replace(y, mask=q.mask if call.version >= (2, 10) else None)


# --- Attention, AdditiveAttention -------------------------------------------------------------------------------------


@builds("Attention", "AdditiveAttention")
def attention(call: LayerCall) -> Sequence[Value]:
    """Attention of one head without projections; hidden scores lose 1e9 in all versions."""
    is_additive = call.class_name == "AdditiveAttention"
    use_scale = call.boolean("use_scale", is_additive)
    mode = "additive" if is_additive else call.choice("score_mode", "dot", ("dot", "concat"))
    is_causal, dropout = call.boolean("causal", False), call.number("dropout", 0.0)
    is_causal |= bool(call.argument("use_causal_mask", default=False))
    scores = bool(call.argument("return_attention_scores", default=False))
    _refuse_training(call, None, dropout)
    masks = [*call.masks(), None, None]
    inputs = call.inputs()
    if len(inputs) not in (2, 3) or any(len(x.shape) != 3 for x in inputs):
        shapes = ", ".join(shape_text(x.shape) for x in inputs)
        raise ShapeError(f"takes two or three sequences (N, T, C), got {shapes}")
    q, v, k = (*inputs, inputs[1])[:3]
    size = call.size(q, 2)
    factors = call.weights(
        scale=((size,) if is_additive else ()) if use_scale else None,
        concat_score_weight=() if mode == "concat" else None,
    )
    scale = factors.pop(0) if use_scale else np.ones((size,) if is_additive else (), np.float32)
    masking = Masking(_one_mask(call, (None, masks[1], None), None), is_causal)
    if mode == "dot" and not scores:
        module = ScaledDotProductAttention(1, scale=float(scale), **masking.parameters)
        found = [_shown(call, masks[0], module, q, k, v, *masking.inputs)]
    else:
        if mode == "dot":
            products = call.emit(AttentionScores(scale=float(scale)), q, k, part="products")
        elif mode == "concat":
            weight = np.full(size, factors[0], np.float32)
            products = call.emit(AdditiveScores(size, float(scale), weight=weight), q, k, part="sums")
        else:
            products = call.emit(AdditiveScores(size, weight=scale), q, k, part="sums")
        shares = call.emit(MaskedSoftmax(**masking.parameters), products, *masking.inputs, part="scores")
        found = [_shown(call, masks[0], AttentionOutput(), shares, v), *([shares] if scores else [])]
    return [dataclasses.replace(found[0], mask=masks[0]), *found[1:]]


def _shown(call: LayerCall, mask: Value | None, module: Module, *inputs: Value) -> Value:
    """Emit the last module, and what sets the results of hidden queries to zero."""
    if mask is None:
        return call.emit(module, *inputs)
    y = call.emit(module, *inputs, part="attention")
    return call.emit(Multiply(), y, call.emit(Reshape((-1, 1)), mask, part="query_mask"))
