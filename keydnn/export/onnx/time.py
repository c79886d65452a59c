"""Sequences as batches of steps and back, and backwards."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import END, Rules, Site, ints


def fold(module: Any, site: Site) -> str:
    (x,) = site.inputs
    sizes = site.op("Concat", ints(-1), site.op("Shape", x, start=2), axis=0)
    return site.op("Reshape", x, sizes)


def unfold(module: Any, site: Site) -> str:
    x, like = site.inputs
    sizes = site.op("Concat", site.op("Shape", like, end=2), site.op("Shape", x, start=1), axis=0)
    return site.op("Reshape", x, sizes)


def flip(module: Any, site: Site) -> str:
    (x,) = site.inputs
    return site.op("Slice", x, ints(-1), ints(-END), ints(module.dim), ints(-1))


RULES: Rules = {"FoldTime": fold, "UnfoldTime": unfold, "Flip": flip}
