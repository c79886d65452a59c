"""LSTM, GRU, SimpleRNN, and the classes of Keras 2 that run on cuDNN alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np

from keydnn.convert.build.activation import function_of
from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.convert.build.states import States
from keydnn.errors import ShapeError
from keydnn.modules.activation import Identity
from keydnn.modules.base import Array, shape_text
from keydnn.modules.recurrent import FUNCTIONS, GRU, LSTM, Function, Recurrent, SimpleRNN, Steps, described

# Of training, of how Keras computes, and of how weights begin.
WITHOUT_EFFECT = ("dropout", "recurrent_dropout", "implementation", "use_cudnn", "unit_forget_bias")
GRU_ORDER = (1, 0, 2)  # Keras' z, r, h as r, z, n


@builds("LSTM")
def lstm(call: LayerCall) -> Sequence[Value]:
    """Gates i, f, c, o, as PyTorch's i, f, g, o."""
    return _emit(call, LSTM, _options(call) | _plain_options(call) | _functions(call))


@builds("GRU")
def gru(call: LayerCall) -> Sequence[Value]:
    """Gates z, r, h; the bias is (3u,), or (2, 3u) with ``reset_after``."""
    options = _options(call) | _plain_options(call) | _functions(call)
    options["reset_after"] = call.boolean("reset_after", call.version >= (3,))
    return _emit(call, GRU, options, GRU_ORDER)


@builds("SimpleRNN")
def simple_rnn(call: LayerCall) -> Sequence[Value]:
    """One product each of the input and of the state."""
    options = _options(call) | _plain_options(call)
    return _emit(call, SimpleRNN, options | {"activation": read_function(call, "activation", "tanh")})


@builds("CuDNNLSTM")
def cudnn_lstm(call: LayerCall) -> Sequence[Value]:
    """LSTM with its usual functions; kernels are stored gate by gate as PyTorch has them, biases twice."""
    return _emit(call, LSTM, _options(call))


@builds("CuDNNGRU")
def cudnn_gru(call: LayerCall) -> Sequence[Value]:
    """GRU with its usual functions; kernels are stored gate by gate as PyTorch has them."""
    return _emit(call, GRU, _options(call), GRU_ORDER)


def _options(call: LayerCall) -> dict[str, Any]:
    """Read the options that all classes have."""
    call.ignore(*WITHOUT_EFFECT)
    call.require("time_major", False)
    call.boolean("stateful", False)  # see States
    return {
        "hidden_size": call.integer("units"),
        "return_sequences": call.boolean("return_sequences", False),
        "return_state": call.boolean("return_state", False),
        "go_backwards": call.boolean("go_backwards", False),
    }


def _plain_options(call: LayerCall) -> dict[str, Any]:
    """Read the options of the classes that do not need cuDNN."""
    return {"use_bias": call.boolean("use_bias", True), "zero_output_for_mask": zeroes_masked_steps(call)}


def zeroes_masked_steps(call: LayerCall) -> bool:
    """Read ``zero_output_for_mask`` and ``unroll``.

    Unrolled, Keras sets outputs to zero by the mask in its own order, whatever the order of the outputs.
    """
    zeros = call.boolean("zero_output_for_mask", False)
    in_two_orders = zeros and call.boolean("go_backwards", False) and call.boolean("return_sequences", False)
    if call.boolean("unroll", False) and in_two_orders and call.mask() is not None:
        call.refuse("unroll", "not together with a mask, zero_output_for_mask, go_backwards and return_sequences")
    return zeros


def _functions(call: LayerCall) -> dict[str, Function]:
    """Read both activation functions; the gates' was hard_sigmoid up to Keras 2.2."""
    gates = "hard_sigmoid" if call.version < (2, 3) else "sigmoid"
    return {
        "activation": read_function(call, "activation", "tanh"),
        "recurrent_activation": read_function(call, "recurrent_activation", gates),
    }


def read_function(call: LayerCall, key: str, default: str) -> Function:
    """Read an activation function as the modules name it."""
    function = function_of(call, key, default) or Identity()
    if not isinstance(function, FUNCTIONS):
        call.refuse(key, "a function that changes the number of units")
        return "Identity"
    return described(function)


def skips_nothing(call: LayerCall, given: Sequence[Value], is_named: bool) -> bool:
    """Tell whether the mask of the sequence plays no part: Keras 3 fills in none where the call has several tensors.

    It hands it on all the same.  A mask that the call names always counts.  Source: ``keras/src/layers/layer.py``.
    """
    return bool(given) and not is_named and call.version >= (3,)


def _emit(call: LayerCall, kind: type[Recurrent], options: dict[str, Any], order: Sequence[int] = ()) -> list[Value]:
    """Take mask, inputs and weights, and emit the layer; its outputs are the sequence (or last step) and the states."""
    placed = call.tensor("mask by position", 2)
    is_named = placed is not None or call.names_mask
    mask = placed or call.mask()
    given = call.tensors("initial_state", 1)
    x, *more = call.inputs()
    passed = mask if options["return_sequences"] else None
    if skips_nothing(call, [*more, *given], is_named):
        mask = None
    count, gives_states = kind.state_count, options["return_state"]
    if len(x.shape) != 3:
        raise ShapeError(f"takes sequences (N, T, features), got {shape_text(x.shape)}")
    states = States(call, x, [*more, *given], "hc"[:count], (options["hidden_size"],))
    if mask is not None and call.class_name.startswith("CuDNN"):
        call.obstacle("with a mask", "a mask, which cuDNN does not know")
        call.stop()
    options |= {"input_size": call.size(x, 2), "has_mask": mask is not None, "has_state": bool(states.first)}
    shell = kind(**options | {"return_state": gives_states or states.kept})
    module = shell.with_tensors(_weights(call, shell, order or range(kind.gates)))
    inputs = [x, *([mask] if mask else []), *states.first]
    if not shell.return_state:
        return [dataclasses.replace(call.emit(module, *inputs), mask=passed)]
    whole = call.emit(module, *inputs, part="whole")
    steps = Steps(0, -count) if shell.return_sequences else Steps(0)
    parts = [call.emit(Steps(place - count), whole, part=name) for place, name in zip(range(count), "hc", strict=False)]
    states.keep(parts)
    return [dataclasses.replace(call.emit(steps, whole), mask=passed), *(parts if gives_states else [])]


def _weights(call: LayerCall, module: Recurrent, order: Sequence[int]) -> dict[str, Array]:
    """Read the weights, gate by gate in the order given."""
    gates, size = module.gates, module.hidden_size
    is_cudnn, two = call.class_name.startswith("CuDNN"), getattr(module, "reset_after", False)
    bias_shape = (2 * gates * size,) if is_cudnn else (2, gates * size) if two else (gates * size,)
    kernel, recurrent, *bias = call.weights(
        kernel=(module.input_size, gates * size),
        recurrent_kernel=(size, gates * size),
        bias=bias_shape if module.use_bias else None,
    )

    weight_ih, weight_hh, rows = joined_gates(kernel, recurrent, bias[0] if bias else None, order, is_cudnn=is_cudnn)
    weights = {"weight_ih": weight_ih, "weight_hh": weight_hh}
    if rows:
        if two:
            weights["bias_hh"] = rows.pop()
        weights["bias_ih"] = np.sum(rows, axis=0)
    return weights


def joined_gates(
    kernel: Array, recurrent: Array, bias: Array | None, order: Sequence[int], *, is_cudnn: bool = False
) -> tuple[Array, Array, list[Array]]:
    """Give weight_ih, weight_hh and the rows of the bias (one, two, or none), gates in another order.

    Parameters
    ----------
    kernel, recurrent
        (in, gates * u) and (u, gates * u); of cuDNN's classes each gate of it as PyTorch has it.
    bias
        (gates * u,), (2, gates * u) or (2 * gates * u,).
    order
        For each gate of the result, its place in Keras' order.
    """
    size = len(recurrent)

    def blocks(array: Array) -> list[Array]:
        """Give the gates' parts of the last axis."""
        parts = np.split(array, len(order), axis=-1)
        return [parts[gate] for gate in order]

    inward = [part.reshape(size, -1) if is_cudnn else part.T for part in blocks(kernel)]
    own = [part if is_cudnn else part.T for part in blocks(recurrent)]
    rows = [] if bias is None else [np.concatenate(blocks(row)) for row in bias.reshape(-1, len(order) * size)]
    return np.concatenate(inward), np.concatenate(own), rows
