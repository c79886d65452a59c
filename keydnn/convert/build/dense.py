"""Dense."""

from __future__ import annotations

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.lora import lora_of, with_lora
from keydnn.convert.build.registry import builds
from keydnn.modules.dense import Linear


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
