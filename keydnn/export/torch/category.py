"""Encodings of ids; those that the graph refuses without a class are refused by ``F.one_hot``."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.torch.expressions import call
from keydnn.export.torch.site import Site


def _classes(module: Any, site: Site) -> str:
    """Write a row for each id."""
    if module.strict:
        return call("F.one_hot", f"{site.inputs[0]}.long()", module.num_classes)
    return call(site.define("one_hot"), site.inputs[0], module.num_classes)


def one_hot(module: Any, site: Site) -> str:
    """Write the row of each id."""
    return f"{_classes(module, site)}.float()"


def multi_hot(module: Any, site: Site) -> str:
    """Tell which ids there are."""
    return f"{_classes(module, site)}.any(-2).float()"


def count(module: Any, site: Site) -> str:
    """Count ids."""
    return f"{_classes(module, site)}.sum(-2).float()"


def weighted_count(module: Any, site: Site) -> str:
    """Sum weights."""
    classes = _classes(module, site)
    condition = f"{classes} == 1" if module.strict else classes
    return call("torch.where", condition, f"{site.inputs[1]}.unsqueeze(-1)", 0.0) + ".sum(-2)"


def bucketize(module: Any, site: Site) -> str:
    """Search in a buffer."""
    boundaries = site.buffer(np.array(module.boundaries, np.float32), "boundaries")
    return f"{call('torch.bucketize', site.inputs[0], boundaries, right=True)}.float()"


RULES = {
    "OneHot": one_hot,
    "MultiHot": multi_hot,
    "Count": count,
    "WeightedCount": weighted_count,
    "Bucketize": bucketize,
}
