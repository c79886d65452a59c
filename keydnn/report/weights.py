"""Where the weights of modules come from: which stored weight, transposed how, found from shapes and values."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import permutations
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from keydnn.convert import FoundWeight
from keydnn.modules.base import Array

MOST_AXES = 6  # of stored weights whose transpositions are tried
MOST_SORTED = 1 << 22  # numbers that are sorted to tell whether they are others in another order
PROBES = 64

Bits = npt.NDArray[np.uint32]


class Made(NamedTuple):
    """How a tensor was made.

    Attributes
    ----------
    sources
        Names of the stored weights.
    how
        ``"as stored"``, ``"transposed"``, ``"reshaped"``, ``"transposed, reshaped"``, ``"rearranged"`` (the same
        numbers in an order that no transposition gives, such as that of gates), ``"computed"`` (other numbers) or
        ``"from the configuration"``.
    order
        The transposition, as ``numpy.transpose`` takes it; empty where there is none, or where the values fit several.
    """

    sources: tuple[str, ...]
    how: str
    order: tuple[int, ...] = ()


def trace(stored: Sequence[FoundWeight], tensors: Mapping[str, Array]) -> dict[str, Made]:
    """Find out how each tensor of a layer's modules was made of the layer's stored weights.

    Each stored weight is given to the first tensor that holds its numbers, in order; then to others that share it.
    """
    bits = {weight.name: weight.values.view(np.uint32) for weight in stored if weight.values is not None}
    found: dict[str, Made] = {}
    left = dict(bits)
    for fresh in (True, False):
        for name, tensor in tensors.items():
            if name in found:
                continue
            for source, values in (left if fresh else bits).items():
                made = _moved(values, tensor.view(np.uint32))
                if made is not None:
                    found[name] = Made((source,), *made)
                    left.pop(source, None)
                    break
    _match_sorted(left, tensors, found)
    rest = [tensor.view(np.uint32) for name, tensor in tensors.items() if name not in found]
    how = "rearranged" if _same_numbers(rest, [*left.values()]) else "computed" if bits else "from the configuration"
    return {name: found.get(name) or Made(tuple(left or bits), how) for name in tensors}


def _match_sorted(left: dict[str, Bits], tensors: Mapping[str, Array], found: dict[str, Made]) -> None:
    """Find tensors that hold the numbers of one stored weight in another order."""
    for name, tensor in tensors.items():
        if name in found:
            continue
        for source, values in left.items():
            if _same_numbers([values], [tensor.view(np.uint32)]):
                found[name] = Made((source,), "rearranged")
                del left[source]
                break


def _same_numbers(some: Sequence[Bits], others: Sequence[Bits]) -> bool:
    """Tell whether arrays hold the same numbers in any order; not tried with very many."""
    size = sum(array.size for array in some)
    if not 0 < size <= MOST_SORTED or size != sum(array.size for array in others):
        return False
    first, second = (np.sort(np.concatenate([array.ravel() for array in arrays])) for arrays in (some, others))
    return np.array_equal(first, second)


def _moved(stored: Bits, tensor: Bits) -> tuple[str, tuple[int, ...]] | None:
    """Say which transposition and reshape make a tensor of a stored weight; None if none does."""
    if stored.size != tensor.size:
        return None
    straight = tuple(range(stored.ndim))
    in_order = np.array_equal(stored.ravel(), tensor.ravel())
    if in_order and stored.shape == tensor.shape:
        return "as stored", ()
    orders = [order for order in permutations(straight) if order != straight] if stored.ndim <= MOST_AXES else []
    exact = [order for order in orders if tuple(stored.shape[axis] for axis in order) == tensor.shape]
    for tried, how in ((exact, "transposed"), ([] if in_order else orders, "transposed, reshaped")):
        fitting = [order for order in tried if _fits(stored, tensor, order)]
        kinds = {tuple(axis for axis in order if stored.shape[axis] > 1) for order in fitting}
        if fitting:
            return how, fitting[0] if len(kinds) == 1 else ()
    return ("reshaped", ()) if in_order else None


def _fits(stored: Bits, tensor: Bits, order: tuple[int, ...]) -> bool:
    """Tell whether a transposition gives the tensor's numbers; a few are looked at before all are."""
    shape = tuple(stored.shape[axis] for axis in order)
    transposed = stored.transpose(order)
    places = np.linspace(0, tensor.size - 1, min(PROBES, tensor.size)).astype(np.int64)
    if not np.array_equal(transposed[np.unravel_index(places, shape)], tensor.ravel()[places]):
        return False
    return math.prod(shape) == tensor.size and np.array_equal(transposed.reshape(-1), tensor.ravel())
