"""Rows of a table.

ONNX takes negative ids from the table's end, where a module says that they are refused, too.
"""

from __future__ import annotations

from typing import Any

from keydnn.export.onnx.site import Rules, Site


def embedding(module: Any, site: Site) -> str:
    (ids,) = site.inputs
    return site.op("Gather", site.weight("weight"), site.cast(ids, "int64"))


RULES: Rules = {"Embedding": embedding}
