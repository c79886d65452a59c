"""Where weights fit and the model may be wrong all the same: orders that no shape shows, and options beside weights."""

from __future__ import annotations

import math
from collections.abc import Collection, Iterator, Mapping, Sequence

from keydnn.convert.build.norm import rms_normalization
from keydnn.convert.build.registry import classes_of
from keydnn.modules.base import Module
from keydnn.transfer.matching import Pair
from keydnn.transfer.sources import Unit

EPSILON, EPSILON_OF_RMS = 1e-3, 1e-6  # Keras' defaults
SHOWN = 3


def doubts(pairs: Sequence[Pair], units: Sequence[Unit], said: Mapping[str, Collection[str]]) -> Iterator[str]:
    """Give a sentence for everything to look at.

    Parameters
    ----------
    pairs
        What goes where.
    units
        The file's, in order.
    said
        Paths of modules about which the caller has spoken, by ``"flatten"`` and ``"unflatten"``.
    """
    yield from _flattened(pairs, units, said)
    yield from _epsilons(pairs)
    yield from _functions(pairs)


# --- features in another order ----------------------------------------------------------------------------------------


def _channels(pair: Pair) -> tuple[int, int] | None:
    """Give the channels that a convolution reads and gives; None for other modules."""
    shape = pair.target.shapes.get("weight", ())
    if len(shape) < 3 or "kernel" not in " ".join(pair.form.shapes):
        return None
    groups = int(getattr(pair.target.module, "groups", 1))
    transposed = pair.target.kind.startswith("ConvTranspose")
    return (shape[0], shape[1] * groups) if transposed else (shape[1] * groups, shape[0])


def _is_linear(pair: Pair) -> bool:
    return pair.form.features.get("weight") == 1


def _flattened(pairs: Sequence[Pair], units: Sequence[Unit], said: Mapping[str, Collection[str]]) -> Iterator[str]:
    by_unit = {pair.unit: pair for pair in pairs}
    heavy = [by_unit[unit] for unit in units if unit in by_unit and any(len(t.shape) > 1 for t in unit.tensors)]
    ordered = len({unit.series for unit in units}) == 1
    for place, pair in enumerate(heavy):
        if not _is_linear(pair):
            continue
        out, into = pair.target.shapes["weight"]
        before = heavy[max(place - 1, 0) : place] if ordered else heavy
        after = heavy[place + 1 : place + 2] if ordered else [one for one in heavy if "Transpose" in one.target.kind]
        others = [] if ordered else [one for one in heavy if _is_linear(one)]
        if pair.target.path not in said["flatten"] and into not in {one.target.shapes["weight"][0] for one in others}:
            yield from _about(pair, into, [(one, c[1]) for one in before if (c := _channels(one))], "flatten", "reads")
        if pair.target.path not in said["unflatten"] and out not in {one.target.shapes["weight"][1] for one in others}:
            yield from _about(pair, out, [(one, c[0]) for one in after if (c := _channels(one))], "unflatten", "gives")


def _about(pair: Pair, size: int, near: Sequence[tuple[Pair, int]], word: str, verb: str) -> Iterator[str]:
    """Say that features may be cells of channels: unless they are the channels themselves, or cannot be."""
    found = [(one, channels) for one, channels in near if size % channels == 0]
    if not found or any(channels == size for _, channels in near):
        return
    one, channels = found[-1]
    axes, cells = len(one.target.shapes["weight"]) - 2, size // channels
    side = round(cells ** (1 / axes))
    shape = (*[side] * axes, channels) if side**axes == cells else None
    way = f'{word}={{"{pair.target.path}": {shape or f"(..., {channels})"}}}'
    sizes = "" if shape else f", whose other sizes make {cells}"
    how = "before" if word == "flatten" else "behind"
    yield (
        f"{pair.target.label} {verb} {size} features: {cells} cells of the {channels} channels of {one.target.label} "
        f"{how} it.  Keras' channels_last orders them by cell, a model with channels first by channel.  If yours does, "
        f'load with {way}{sizes}; if not, with {word}={{"{pair.target.path}": None}}'
    )


# --- options beside weights -------------------------------------------------------------------------------------------


def _epsilons(pairs: Sequence[Pair]) -> Iterator[str]:
    found: dict[tuple[str, str], list[str]] = {}
    for pair in pairs:
        module, config = pair.target.module, pair.unit.config
        if not hasattr(module, "eps") or not {"gamma", "beta", "moving_mean", "scale"} & set(pair.form.shapes):
            continue
        usual = EPSILON_OF_RMS if pair.form.classes == classes_of(rms_normalization) else EPSILON
        stored = usual if config is None else config.get("epsilon", usual)
        if isinstance(stored, (int, float)) and (module.eps is None or not math.isclose(module.eps, stored)):
            where = f"{stored:g} in the file" if config else f"{stored:g} by default in Keras (the file does not say)"
            found.setdefault((str(module.eps), where), []).append(pair.target.label)
    for (own, where), labels in found.items():
        yield f"eps of {_some(labels)} is {own}, but {where}"


def _functions(pairs: Sequence[Pair]) -> Iterator[str]:
    """Name functions of recurrent layers that PyTorch's do not have."""
    for pair in pairs:
        config = pair.unit.config
        if config is None or "recurrent_kernel" not in pair.form.shapes or isinstance(pair.target.module, Module):
            continue
        gates = "hard_sigmoid" if pair.unit.version < (2, 3) else "sigmoid"
        wanted = {"activation": ("tanh", getattr(pair.target.module, "nonlinearity", "tanh"))}
        if pair.target.shapes["weight_ih"][0] != pair.target.shapes["weight_hh"][1]:
            wanted["recurrent_activation"] = (gates, "sigmoid")
        for key, (usual, own) in wanted.items():
            stored = config.get(key, usual)
            if stored != own:
                yield f"{pair.target.label} computes with {own}, but {pair.unit.name} has {key}={stored!r}"


def _some(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - SHOWN} more" if len(labels) > SHOWN else ""
    return f"{', '.join(labels[:SHOWN])}{more}"
