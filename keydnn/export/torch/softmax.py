"""Activations along one axis."""

from __future__ import annotations

import functools
from typing import Any

from keydnn.export.torch.expressions import call, quoted, unless
from keydnn.export.torch.site import Site


def along(function: str, module: Any, site: Site) -> str:
    """Apply a function along an axis."""
    return call(function, site.inputs[0], dim=module.dim)


def sparsemax(module: Any, site: Site) -> str:
    """Apply a function that PyTorch has not."""
    threshold = unless(quoted("sum"), quoted(module.threshold))
    return call(site.define("sparsemax"), site.inputs[0], module.dim, threshold=threshold)


RULES = {
    "Softmax": functools.partial(along, "F.softmax"),
    "LogSoftmax": functools.partial(along, "F.log_softmax"),
    "GLU": functools.partial(along, "F.glu"),
    "Sparsemax": sparsemax,
}
