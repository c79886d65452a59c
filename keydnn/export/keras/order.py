"""The order in which Keras has the layers of a functional model, which says where it looks for their weights.

Source: ``map_graph`` in ``keras/src/ops/function.py``.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from keydnn.export.keras.document import Layer, Ref


def in_keras_order(inputs: Sequence[Ref], outputs: Sequence[Ref]) -> tuple[Layer, ...]:
    """Give the layers that outputs need, and the inputs: those farthest from the outputs first.

    Layers of one depth stand in the order in which a search from the outputs, depth first, meets them.

    Parameters
    ----------
    inputs, outputs
        Of the model.
    """
    met: dict[Layer, int] = {}
    finished: dict[tuple[Layer, int], None] = {}
    for output in outputs:
        _search(output, met, finished)
    depths: dict[tuple[Layer, int], int] = {}
    farthest: dict[Layer, int] = {}
    for layer, call in reversed(finished):
        depth = max(depths.get((layer, call), 0), farthest.get(layer, 0))
        farthest[layer] = depths[layer, call] = depth
        for ref in layer.calls[call].reads():
            node = ref.layer, ref.call
            depths[node] = max(depth + 1, depths.get(node, 0))
    for given in inputs:
        if given.layer not in farthest:
            farthest[given.layer], met[given.layer] = 0, -1
    return tuple(sorted(farthest, key=lambda layer: (-farthest[layer], met[layer])))


def _search(start: Ref, met: dict[Layer, int], finished: dict[tuple[Layer, int], None]) -> None:
    """Add the calls that a value needs to those finished, each after those that it needs itself."""
    stack = [(start.layer, start.call, False)]
    while stack:
        layer, call, done = stack.pop()
        if done:
            finished[layer, call] = None
        elif (layer, call) not in finished:
            met.setdefault(layer, len(met))
            stack.append((layer, call, True))
            stack += [(ref.layer, ref.call, False) for ref in reversed([*layer.calls[call].reads()])]
