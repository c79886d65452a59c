"""Recurrences over the steps of a sequence, as a Scan, and what recurrent layers give."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from keydnn.export.onnx import activation, softmax
from keydnn.export.onnx.site import END, Rules, Site, ints, number
from keydnn.modules.base import Shape

FUNCTIONS: Rules = {**activation.RULES, **softmax.RULES}
Step = Callable[[Site, str, Sequence[str]], Sequence[str]]


def applied(function: Any, site: Site, x: str, shape: Shape) -> str:
    """Apply an activation module to a value."""
    return FUNCTIONS[type(function).__name__](function, site.part(function, [(x, shape, "float32")], shape))


def results(module: Any, site: Site, sequence: str | None, output: str, states: Sequence[str]) -> str:
    """Give every output or the last one, and the states behind it, as the options of a recurrent layer say."""
    if not module.return_state:
        return sequence if sequence is not None else output
    behind = [site.op("Unsqueeze", step, ints(1)) for step in ([] if sequence else [output]) + [*states]]
    return site.op("Concat", *([sequence] if sequence else []), *behind, axis=1)


def scanned(module: Any, site: Site, x: tuple[str, Shape], state: Shape, count: int, step: Step) -> str:
    """Give the results of a recurrence over axis 1.

    Parameters
    ----------
    module
        With the options that all recurrent layers share.
    x
        What the steps are given, (N, T, ...), and its shape.
    state
        Shape of a state; its axes behind the second are those of a step of ``x``.
    count
        How many states there are.
    step
        Gives the next states in the site of a body, the output first, for its step of ``x`` and the states.
    """
    given, shape = x
    zeros = _zeros(site, given, shape, state)
    given = _steps_first(module, site, given, len(shape))
    masks = [_steps_first(module, site, site.cast(site.inputs[1], "bool"), 2)] if module.has_mask else []
    first = [*site.inputs[-count:]] if module.has_state else [zeros] * count
    carried = [*first, *([zeros] if masks else [])]  # with a mask, the output of the step before, too

    def body(inner: Site) -> Sequence[str]:
        states, mine = inner.inputs[:count], inner.inputs[len(carried)]
        fresh = [*step(inner, mine, states)]
        if masks:
            here = inner.op("Unsqueeze", inner.inputs[-1], ints(*range(1, len(state))))
            rest = number(0) if module.zero_output_for_mask else inner.inputs[count]
            output = inner.op("Where", here, fresh[0], rest)
            fresh = [inner.op("Where", here, new, old) for new, old in zip(fresh, states, strict=True)] + [output]
        return [*fresh, *([inner.op("Identity", fresh[-1 if masks else 0])] if module.return_sequences else [])]

    held = [("float32", state)] * len(carried)
    read = [("float32", (shape[0], *shape[2:])), *([("bool", shape[:1])] if masks else [])]
    sequences = int(module.return_sequences)
    last = site.ops(
        "Scan",
        len(carried) + sequences,
        *carried,
        given,
        *masks,
        body=site.body([*held, *read], [*held, *[("float32", state)] * sequences], body),
        num_scan_inputs=len(read),
    )
    sequence = site.op("Transpose", last[-1], perm=_swapped(1 + len(state))) if sequences else None
    return results(module, site, sequence, last[count if masks else 0], last[:count])


def _swapped(rank: int) -> list[int]:
    """Give the permutation that exchanges the batch and the steps."""
    return [1, 0, *range(2, rank)]


def _steps_first(module: Any, site: Site, x: str, rank: int) -> str:
    """Give the steps in the order in which they are taken, on axis 0: many runtimes have no Scan of another one."""
    x = site.op("Transpose", x, perm=_swapped(rank))
    return site.op("Slice", x, ints(-1), ints(-END), ints(0), ints(-1)) if module.go_backwards else x


def _zeros(site: Site, x: str, shape: Shape, state: Shape) -> str:
    """Give zeros of the state's shape, whose free sizes are those of a step of ``x``."""
    if None not in state:
        return site.constant(np.zeros([size or 0 for size in state], np.float32))
    places = [0, None, *range(3, len(shape))]
    sizes = [
        ints(size) if size is not None else site.op("Shape", x, start=place, end=(place or 0) + 1)
        for place, size in zip(places, state, strict=True)
    ]
    return site.op("Expand", number(0), site.op("Concat", *sizes, axis=0))
