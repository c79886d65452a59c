"""Dropout."""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site


def dropout(module: Any, site: Site) -> str:
    """Give the input: nothing is dropped."""
    return site.inputs[0]


RULES: Rules = {"Dropout": dropout}
