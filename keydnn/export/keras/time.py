"""Sequences as batches of steps and back, and backwards."""

from __future__ import annotations

from typing import Any

from keydnn.export.keras.site import Rules, Site, Value


def fold(module: Any, site: Site) -> Value:
    """``ops.reshape``, of steps of a known shape."""
    if None in site.shape[1:]:
        site.refuse("steps with free sizes, of which Keras cannot make a batch")
    return site.operation("numpy.Reshape", site.inputs, {"newshape": (-1, *site.shape[1:])})


def unfold(module: Any, site: Site) -> Value:
    """``ops.reshape``, to a known number of steps."""
    if None in site.shape[1:]:
        site.refuse("a free number of steps, of which Keras cannot make sequences")
    return site.operation("numpy.Reshape", site.inputs[:1], {"newshape": (-1, *site.shape[1:])})


def flip(module: Any, site: Site) -> Value:
    """``ops.flip``."""
    return site.operation("numpy.Flip", site.inputs, {"axis": module.dim})


RULES: Rules = {"FoldTime": fold, "UnfoldTime": unfold, "Flip": flip}
