"""In what the modules of two layers differ: their types, parameters and weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher
from typing import Any

import numpy as np

from keydnn.modules.base import Array, Module
from keydnn.strict_json import clip

LONG = 60  # letters of a parameter


def changes(first: Sequence[Module], second: Sequence[Module]) -> list[str]:
    """Say in what the modules of a layer differ; nothing where they are equal, to the last bit of each weight."""
    types, others = ([type(module).__name__ for module in modules] for modules in (first, second))
    found: list[str] = []
    for tag, a, b, c, d in SequenceMatcher(None, types, others, autojunk=False).get_opcodes():
        here, there = first[a:b], second[c:d]
        if tag == "equal":
            several = max(len(first), len(second)) > 1
            for one, other in zip(here, there, strict=True):
                name = f"{type(one).__name__}: " if several else ""
                found += [f"{name}{what}" for what in _differences(one, other)]
        else:
            texts = [" and ".join(type(module).__name__ for module in modules) for modules in (here, there)]
            found.append(" became ".join(texts) if all(texts) else f"only in the {_which(texts)}: {''.join(texts)}")
    return found


def _which(texts: Sequence[str]) -> str:
    return "first" if texts[0] else "second"


def _differences(first: Module, second: Module) -> Iterator[str]:
    here, there = first.parameters(), second.parameters()
    for name in here:
        if here[name] != there[name]:
            yield f"{name} {_text(here[name])} and {_text(there[name])}"
    weights, others = first.tensors(), second.tensors()
    for name in [*weights, *(name for name in others if name not in weights)]:
        if name in weights and name in others:
            yield from _numbers(name, weights[name], others[name])
        else:
            yield f"{name} only in the {'first' if name in weights else 'second'}"


def _text(value: Any) -> str:
    return clip(str(value), LONG)


def _numbers(name: str, first: Array, second: Array) -> Iterator[str]:
    """Say how many numbers of a weight differ, and how much."""
    if first.shape != second.shape:
        yield f"{name} of shape {first.shape} and {second.shape}"
        return
    same = first.view(np.uint32) == second.view(np.uint32)
    count = int(first.size - np.count_nonzero(same))
    if count:
        with np.errstate(all="ignore"):  # infinities and NaN are values here
            apart = np.abs(first[~same].astype(np.float64) - second[~same])
        how_many = f"in all {count:,}" if count == first.size else f"in {count:,} of {first.size:,}"
        yield f"{name} differs {how_many} numbers, largest difference {np.max(apart):.3g}"
