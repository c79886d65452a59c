"""For every kind of module the forms in which Keras stores its weights.

The modules of KeyDNN and of PyTorch have the same names, attributes and layouts, so one rule serves both.  The
changes of layout are those of the builders (``keydnn/convert/build``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from keydnn.convert.build import attention, conv, dense, embedding, norm, recurrent
from keydnn.convert.build.activation import prelu
from keydnn.convert.build.registry import Build, classes_of
from keydnn.modules.activation import PReLU
from keydnn.modules.base import Module
from keydnn.modules.conv import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from keydnn.modules.dense import Linear
from keydnn.modules.embedding import Embedding
from keydnn.modules.norm import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm, RMSNorm
from keydnn.modules.recurrent import GRU, LSTM, SimpleRNN
from keydnn.strict_json import Json
from keydnn.transfer.forms import Floats, Form, Piece, Shapes, Stored

Forms = list[Form] | str  # or why there are none
Rule = Callable[[Any, Shapes], Forms]

AS_IS = "as it is"
LEADING = "channels in front"
CUBE = "several axes of one size, whose order no shape tells"
WHICH = "the file does not say whether its array is gamma or beta"


def _array(name: str, arrays: Stored) -> Floats:
    return arrays[name]


def _as_is(tensor: str, source: str) -> Piece:
    return Piece(tensor, source, partial(_array, source), AS_IS)


def _channels_first(tensor: str, source: str) -> Piece:
    return Piece(tensor, source, lambda arrays: np.moveaxis(arrays[source], -1, 0), LEADING)


def _filled(tensor: str, shape: tuple[int, ...], number: float, why: str) -> Piece:
    return Piece(tensor, "", lambda _: np.full(shape, number, np.float32), why)


def _with_bias(shapes: Shapes, **kernel: tuple[int, ...]) -> tuple[Shapes, tuple[Piece, ...]]:
    """Give Keras' shapes of a kernel and, if the module has one, the bias; and the bias' piece."""
    if "bias" not in shapes:
        return kernel, ()
    return {**kernel, "bias": shapes["bias"]}, (_as_is("bias", "bias"),)


# --- convolutions, dense layers, tables -------------------------------------------------------------------------------


def convolution(module: Any, shapes: Shapes) -> Forms:
    """Kernels of Conv layers; of depthwise ones too, if each output reads one channel."""
    out, of_group, *sizes = shapes["weight"]
    stored, bias = _with_bias(shapes, kernel=(*sizes, of_group, out))
    weight = Piece("weight", "kernel", lambda arrays: conv.channels_leading(arrays["kernel"]), LEADING)
    plain = Form(classes_of(conv.convolution), stored, (weight, *bias), {"groups": (module.groups, 1)})
    if of_group > 1:
        return [plain]
    stored, bias = _with_bias(shapes, depthwise_kernel=(*sizes, module.groups, out // module.groups))
    words = f"{LEADING}, joined"
    weight = Piece(
        "weight", "depthwise_kernel", lambda arrays: conv.one_channel_each(arrays["depthwise_kernel"]), words
    )
    depthwise = Form(classes_of(conv.depthwise_convolution), stored, (weight, *bias))
    return [plain, depthwise] if module.groups == 1 else [depthwise, plain]


def transposed_convolution(module: Any, shapes: Shapes) -> Forms:
    """Kernels of ConvTranspose layers, which Keras has without groups."""
    into, out, *sizes = shapes["weight"]
    if getattr(module, "groups", 1) != 1:
        return f"groups={module.groups}, which Keras' transposed convolutions do not have"
    stored, bias = _with_bias(shapes, kernel=(*sizes, out, into))
    weight = Piece("weight", "kernel", lambda arrays: conv.channels_leading(arrays["kernel"]), LEADING)
    return [Form(classes_of(conv.transposed_convolution), stored, (weight, *bias))]


def linear(module: Any, shapes: Shapes) -> Forms:
    """Kernels of Dense layers."""
    out, into = shapes["weight"]
    stored, bias = _with_bias(shapes, kernel=(into, out))
    weight = Piece("weight", "kernel", lambda arrays: arrays["kernel"].T, "transposed")
    results = {"weight": 0, **({"bias": 0} if bias else {})}
    plain = Form(classes_of(dense.dense), stored, (weight, *bias), features={"weight": 1}, results=results)
    return [plain, *_of_heads(shapes)]


def projection(module: Any, shapes: Shapes) -> Forms:
    """Query, key or value of PyTorch's attention, whose heads must be as many."""
    return [form for form in _of_heads(shapes) if form.shapes["kernel"][1] == module.num_heads]


def _of_heads(shapes: Shapes) -> list[Form]:
    """Give the forms of attention's projections, whose kernels and biases have an axis of the heads."""
    classes = classes_of(attention.multi_head_attention, attention.group_query_attention)
    out, into = shapes["weight"]
    forms = []
    for size, axes in ((out, lambda a, b: ((into, a, b), (a, b))), (into, lambda a, b: ((a, b, out), (out,)))):
        for heads in (count for count in range(1, size + 1) if size % count == 0):
            kernel, bias = axes(heads, size // heads)
            stored = {"kernel": kernel, **({"bias": bias} if "bias" in shapes else {})}
            pieces = [
                Piece(
                    "weight",
                    "kernel",
                    lambda arrays: arrays["kernel"].reshape(into, out).T,
                    f"{heads} heads joined, transposed",
                ),
                Piece(
                    "bias",
                    "bias",
                    lambda arrays: arrays["bias"].reshape(out),
                    f"{heads} heads joined" if len(bias) > 1 else AS_IS,
                ),
            ]
            forms.append(Form(classes, stored, tuple(pieces[: len(stored)]), knowing=True))
    return forms


def table(module: Any, shapes: Shapes) -> Forms:
    """Tables of Embedding layers."""
    piece = _as_is("weight", "embeddings")
    return [Form(classes_of(embedding.embedding), {"embeddings": shapes["weight"]}, (piece,))]


def slopes(module: Any, shapes: Shapes) -> Forms:
    """Slopes of PReLU; Keras keeps an axis of one for every axis that shares them."""
    shape, classes = shapes["weight"], classes_of(prelu)
    many = [size for size in shape if size != 1]
    if len(many) > 1:
        return [Form(classes, {"alpha": s}, (piece("weight", "alpha"),)) for s, piece in _orders(shape)] or CUBE
    words = "axes of one dropped or added"
    weight = Piece("weight", "alpha", lambda arrays: arrays["alpha"].reshape(shape), words)
    size = many[0] if many else 1
    wanted = {at: None for rank in range(1, 5) for at in ((size, *[1] * (rank - 1)), (*[1] * (rank - 1), size))}
    vector = {"weight": 0} if len(shape) == 1 else {}
    return [Form(classes, {"alpha": at}, (weight,), features=vector, results=vector) for at in wanted]


def _orders(shape: tuple[int, ...]) -> list[tuple[tuple[int, ...], Callable[[str, str], Piece]]]:
    """Give the shapes that Keras may have for cells of several axes, channels last or first; none if both are one."""
    if len(shape) < 2:
        return [(shape, _as_is)]
    last = (*shape[1:], shape[0])
    return [] if last == shape else [(shape, _as_is), (last, _channels_first)]


# --- normalization ----------------------------------------------------------------------------------------------------


def batch_norm(module: Any, shapes: Shapes) -> Forms:
    """Gamma, beta, moving_mean, moving_variance; PyTorch's module has no way to lack one of gamma and beta alone."""
    if "running_mean" not in shapes:
        return "no running statistics, which Keras' layer has"
    statistics = (_as_is("running_mean", "moving_mean"), _as_is("running_var", "moving_variance"))
    return _scaled(module, shapes, norm.batch_normalization, statistics)


def layer_norm(module: Any, shapes: Shapes) -> Forms:
    """Gamma and beta; over several axes they must have the same order in both."""
    return _scaled(module, shapes, norm.layer_normalization)


def group_norm(module: Any, shapes: Shapes) -> Forms:
    """Gamma and beta; of InstanceNorm too, which Keras has as groups of one channel."""
    if "running_mean" in shapes:
        return "running statistics, which Keras' layer does not have"
    return _scaled(module, shapes, norm.group_normalization)


def rms_norm(module: Any, shapes: Shapes) -> Forms:
    """Scale; of the centered module the gamma of a layer normalization with ``rms_scaling``."""
    if getattr(module, "centered", False):
        builder, name, options = norm.layer_normalization, "gamma", {"rms_scaling": (True, False)}
    else:
        builder, name, options = norm.rms_normalization, "scale", {}
    return [Form(classes_of(builder), {name: shapes["weight"]}, (_as_is("weight", name),), options)]


def _scaled(module: Any, shapes: Shapes, builder: Any, statistics: Sequence[Piece] = ()) -> Forms:
    """Give the forms of a normalization: as the module has it, and where it may be filled, without gamma or beta."""
    has = {tensor: tensor in shapes for tensor in ("weight", "bias")}
    ways = [has]
    if not isinstance(module, Module) and all(has.values()):
        ways += [{"weight": w, "bias": b} for w, b in ((False, True), (True, False), (False, False))]
    shape = next(iter(shapes.values()))
    found = [_scaled_form(has, way, shape, *order, builder, statistics) for way in ways for order in _orders(shape)]
    return [form for form in found if form.shapes] or CUBE


def _scaled_form(
    has: Mapping[str, bool],
    way: Mapping[str, bool],
    shape: tuple[int, ...],
    stored: tuple[int, ...],
    piece: Callable[[str, str], Piece],
    builder: Build,
    statistics: Sequence[Piece],
) -> Form:
    """Give the form of one way to have gamma and beta, and one order of their axes."""
    pieces = []
    for tensor, name, number, option in (("weight", "gamma", 1, "scale"), ("bias", "beta", 0, "center")):
        if way[tensor]:
            pieces.append(piece(tensor, name))
        elif has[tensor]:
            pieces.append(_filled(tensor, shape, number, f"{number}s: Keras' layer has {option}=False"))
    pieces += statistics
    options: dict[str, tuple[Json, Json]] = {"scale": (way["weight"], True), "center": (way["bias"], True)}
    if builder is norm.layer_normalization:
        options["rms_scaling"] = (False, False)
    vectors = {piece.tensor: 0 for piece in pieces} if len(shape) == 1 else {}
    return Form(
        classes_of(builder),
        {piece.source: stored for piece in pieces if piece.source},
        tuple(pieces),
        options,
        doubt=WHICH if way["weight"] != way["bias"] else "",
        features=vectors,
        results=vectors,
    )


# --- recurrent layers -------------------------------------------------------------------------------------------------

GATES = {1: "", 3: ", gates z r h -> r z n", 4: ", gates i f c o as i f g o"}
ORDERS = {1: (0,), 3: recurrent.GRU_ORDER, 4: tuple(range(4))}


def gates(module: Any, shapes: Shapes) -> Forms:
    """Kernels of LSTM, GRU and SimpleRNN, one or two biases, and what the classes for cuDNN store."""
    if "weight_hr" in shapes:
        return "proj_size, which Keras' layers do not have"
    rows, into = shapes["weight_ih"]
    size = shapes["weight_hh"][1]
    count = rows // size
    stored = {"kernel": (into, rows), "recurrent_kernel": (size, rows)}
    builders = {1: (recurrent.simple_rnn,), 3: (recurrent.gru,), 4: (recurrent.lstm,)}[count]
    has_two = count == 3 and "bias_hh" in shapes
    resets_after = getattr(module, "reset_after", True)
    options = {"reset_after": (resets_after, resets_after)} if count == 3 else {}
    if "bias_ih" not in shapes:
        return [Form(classes_of(*builders), stored, _gate_pieces(shapes, ORDERS[count], 0), options)]
    bias = (2, rows) if has_two else (rows,)
    pieces = _gate_pieces(shapes, ORDERS[count], 2 if has_two else 1)
    forms = [Form(classes_of(*builders), {**stored, "bias": bias}, pieces, options)]
    if count > 1 and (has_two or count == 4):
        cudnn = recurrent.cudnn_gru if has_two else recurrent.cudnn_lstm
        pieces = _gate_pieces(shapes, ORDERS[count], 2, is_cudnn=True)
        forms.append(Form(classes_of(cudnn, *builders), {**stored, "bias": (2 * rows,)}, pieces))
    return forms


def _gate_pieces(shapes: Shapes, order: Sequence[int], biases: int, *, is_cudnn: bool = False) -> tuple[Piece, ...]:
    how = GATES[len(order)]
    turned = f"each gate as it is{how}" if is_cudnn else f"transposed{how}"
    make = partial(_gate_part, tuple(order), is_cudnn)
    pieces = [
        Piece("weight_ih", "kernel", partial(make, "weight_ih"), turned),
        Piece("weight_hh", "recurrent_kernel", partial(make, "weight_hh"), turned),
    ]
    if biases == 2 and "bias_hh" in shapes:
        for tensor, which in (("bias_ih", "the input's"), ("bias_hh", "the state's")):
            pieces.append(Piece(tensor, "bias", partial(make, tensor), f"{which} half{how}"))
    elif biases:
        words = f"both halves added{how}" if biases == 2 else f"{AS_IS}{how}"
        pieces.append(Piece("bias_ih", "bias", partial(make, "sum"), words))
        if "bias_hh" in shapes:
            pieces.append(_filled("bias_hh", shapes["bias_hh"], 0, "0s: Keras' layer has one bias"))
    return tuple(pieces)


def _gate_part(order: Sequence[int], is_cudnn: bool, part: str, arrays: Stored) -> Floats:
    """Give one of the tensors that the builder makes of all arrays."""
    weight_ih, weight_hh, rows = recurrent.joined_gates(
        arrays["kernel"], arrays["recurrent_kernel"], arrays.get("bias"), order, is_cudnn=is_cudnn
    )
    if part == "sum":
        return np.sum(rows, axis=0) if len(rows) > 1 else rows[0]
    parts = {"weight_ih": weight_ih, "weight_hh": weight_hh}
    return parts[part] if part in parts else rows[("bias_ih", "bias_hh").index(part)]


KINDS: tuple[tuple[Rule, tuple[type[Module] | str, ...]], ...] = (
    (convolution, (Conv1d, Conv2d, Conv3d)),
    (transposed_convolution, (ConvTranspose1d, ConvTranspose2d, ConvTranspose3d)),
    (linear, (Linear,)),
    (projection, ("MultiheadAttention",)),
    (table, (Embedding,)),
    (slopes, (PReLU,)),
    (batch_norm, (BatchNorm1d, BatchNorm2d, BatchNorm3d, "SyncBatchNorm")),
    (layer_norm, (LayerNorm,)),
    (group_norm, (GroupNorm, "InstanceNorm1d", "InstanceNorm2d", "InstanceNorm3d")),
    (rms_norm, (RMSNorm,)),
    (gates, (LSTM, GRU, SimpleRNN, "RNN", "LSTMCell", "GRUCell", "RNNCell")),
)
# By the name of the module's class; text names classes that PyTorch alone has.
RULES: dict[str, Rule] = {
    kind if isinstance(kind, str) else kind.__name__: rule for rule, kinds in KINDS for kind in kinds
}
