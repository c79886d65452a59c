"""Dense."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.dense import Linear


@builds("Dense", fused_activation=True)
def dense(call: LayerCall) -> Value:
    """Kernel (in, out) -> weight (out, in); on the last axis of any rank."""
    out_features, use_bias = call.integer("units"), call.boolean("use_bias", True)
    call.ignore("activation")
    x = call.input()
    in_features = call.size(x, len(x.shape) - 1)
    kernel, *bias = call.weights(kernel=(in_features, out_features), bias=(out_features,) if use_bias else None)
    return call.emit(Linear(in_features, out_features, use_bias, weight=kernel.T, bias=next(iter(bias), None)), x)
