"""Dense; MaxoutDense and Highway of Keras 1."""

from __future__ import annotations

from keydnn.convert.build.activation import function_of
from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.lora import lora_of, with_lora
from keydnn.convert.build.reduce import reduced
from keydnn.convert.build.registry import builds
from keydnn.modules.activation import Sigmoid
from keydnn.modules.arithmetic import Scalar
from keydnn.modules.base import Array
from keydnn.modules.dense import Linear
from keydnn.modules.merge import Add, Multiply
from keydnn.modules.shape import Reshape


@builds("Dense", fused_activation=True, passes_mask=True, stepwise=True)
def dense(call: LayerCall) -> Value:
    """Kernel (in, out) -> weight (out, in); on the last axis of any rank."""
    out_features, use_bias = call.integer("units"), call.boolean("use_bias", True)
    lora = lora_of(call)
    call.ignore("activation")
    x = call.input()
    in_features = call.size(x, len(x.shape) - 1)
    kernel, *bias = call.weights(kernel=(in_features, out_features), bias=(out_features,) if use_bias else None)
    weight = with_lora(call, "kernel", kernel, lora).T
    return call.emit(Linear(in_features, out_features, use_bias, weight=weight, bias=next(iter(bias), None)), x)


@builds("MaxoutDense", gone=2)
def maxout_dense(call: LayerCall) -> Value:
    """The largest of ``nb_feature`` dense layers; kernel (nb_feature, in, out), bias (nb_feature, out)."""
    out_features, count = call.integer("units"), call.integer("nb_feature", 4)
    use_bias = call.boolean("use_bias", True)
    x = call.input(rank=2)
    in_features, many = call.size(x, 1), count * out_features
    kernel, *bias = call.weights(
        kernel=(count, in_features, out_features), bias=(count, out_features) if use_bias else None
    )
    weight = kernel.transpose(0, 2, 1).reshape(many, in_features)
    module = Linear(in_features, many, use_bias, weight=weight, bias=bias[0].reshape(many) if bias else None)
    features = call.emit(Reshape((count, out_features)), call.emit(module, x, part="all"), part="features")
    return reduced(call, "max", features, (1,), False)


@builds("Highway", gone=2)
def highway(call: LayerCall) -> Value:
    """``gate * f(dense(x)) + (1 - gate) * x``; the gate is the sigmoid of another dense layer."""
    function, use_bias = function_of(call, "activation"), call.boolean("use_bias", True)
    call.ignore("transform_bias")  # where its bias began in training
    x = call.input(rank=2)
    size = call.size(x, 1)
    bias = (size,) if use_bias else None
    arrays = call.weights(kernel=(size, size), carry_kernel=(size, size), bias=bias, carry_bias=bias)

    def linear(kernel: Array, bias: Array | None, part: str) -> Value:
        return call.emit(Linear(size, size, use_bias, weight=kernel.T, bias=bias), x, part=part)

    carry, dense = (
        linear(arrays[n], arrays[n + 2] if use_bias else None, part) for n, part in ((1, "carry"), (0, "dense"))
    )
    gate = call.emit(Sigmoid(), carry, part="gate")
    changed = call.emit(function, dense, part="activation") if function else dense
    changed = call.emit(Multiply(), changed, gate, part="changed")
    rest = call.emit(Scalar("subtract", 1.0, reverse=True), gate, part="rest")
    return call.emit(Add(), changed, call.emit(Multiply(), rest, x, part="kept"))
