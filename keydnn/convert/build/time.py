"""TimeDistributed, Bidirectional and RNN: what remains of them once the layers inside are layers of their own.

``normalize/wrappers.py`` splits them up.  What comes before the layers inside is a part of its own (``call.is_part``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from keydnn.convert.build.call import LayerCall, Value
from keydnn.convert.build.registry import builds
from keydnn.modules.base import Module
from keydnn.modules.masking import StepMask
from keydnn.modules.merge import Add, Average, Concatenate, Multiply
from keydnn.modules.time import Flip, FoldTime, UnfoldTime

MERGES = {"sum": Add, "ave": Average, "mul": Multiply}


@builds("TimeDistributed")
def time_distributed(call: LayerCall) -> Value:
    """Before: the steps as examples, with what the mask says of each if it says more than whether it counts.

    Behind: the output as a sequence again.
    """
    mask = call.mask()
    if call.is_part:
        x = call.input()
        inner = call.emit(FoldTime(), mask, part="mask") if mask and len(mask.shape) > 2 else None
        return replace(x.folded[0] if x.folded else call.emit(FoldTime(), x), mask=inner)
    x, steps = call.inputs()
    like = x.folded[1] if x.folded else x
    found = call.emit(UnfoldTime(), steps, like)
    return replace(found, mask=_unfolded_mask(call, steps, like, mask), folded=(steps, like))


def _unfolded_mask(call: LayerCall, steps: Value, like: Value, mask: Value | None) -> Value | None:
    """Give the mask of the output: the input's; in Keras 1 and 2 the one of the layer inside, if it gives one."""
    if call.version >= (3,):
        return mask
    if steps.mask is not None:
        return call.emit(UnfoldTime(), steps.mask, like, part="mask")
    while mask is not None and len(mask.shape) > 2:
        mask = call.emit(StepMask(), mask, part="any_mask")
    return mask


@builds("Bidirectional")
def bidirectional(call: LayerCall) -> Sequence[Value]:
    """Both ways' outputs merged, or both; then both ways' states.  Masked steps stay masked."""
    mode, sequences = call.option("merge_mode", "concat"), call.boolean("return_sequences", False)
    if mode not in (None, "concat", *MERGES):
        call.refuse("merge_mode", f"only None, 'concat', {', '.join(map(repr, MERGES))}")
    call.require("num_constants", 0, None)
    mask = call.mask()
    _, *outputs = call.inputs()
    half = len(outputs) // 2
    (there, *states), (back, *back_states) = outputs[:half], outputs[half:]
    if sequences:
        back = call.emit(Flip(1), back, part="flip")
    if mode is None:
        ends = [there, back]
    else:
        module: Module = Concatenate(len(there.shape) - 1) if mode == "concat" else MERGES[mode]()
        ends = [call.emit(module, there, back)]
    return [*(replace(end, mask=mask if sequences else None) for end in ends), *states, *back_states]


@builds("RNN")
def rnn(call: LayerCall) -> Sequence[Value]:
    """Before several cells that go backwards: sequence and mask turned round.  Behind them: what they gave."""
    mask = call.mask()
    if call.is_part:
        turned = call.emit(Flip(1), mask, part="mask") if mask else None
        return [replace(call.emit(Flip(1), call.input()), mask=turned)]
    if not call.boolean("return_sequences", False):
        mask = None
    call.ignore("return_state", "go_backwards", "stateful", "unroll", "time_major", "zero_output_for_mask")
    _, last, *states = call.inputs()
    return [replace(last, mask=mask), *states]
