"""Masking."""

from __future__ import annotations

from dataclasses import replace

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.masking import MaskedFill, StepMask


@builds("Masking")
def masking(call: LayerCall) -> Value:
    """The mask, and the input with zeros where it says so.

    Before a nested model: its input with the mask that the model's call names (``normalize/wrappers.py``).
    """
    if call.is_part:
        mask = call.mask()
        return replace(call.input(), mask=mask)
    value = call.number("mask_value", 0.0)
    call.ignore_mask()
    x = call.input()
    mask = call.emit(StepMask(value), x, part="mask")
    return replace(call.emit(MaskedFill(), x, mask), mask=mask)
