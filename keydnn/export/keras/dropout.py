"""Dropout, which acts in training only."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.keras.site import Rules, Site, Value

KINDS = ("AlphaDropout", "Dropout", "GaussianDropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D")


def dropout(module: Any, site: Site) -> Value:
    """The layer that it was, or ``Dropout``; its random numbers begin at 0."""
    named = site.origin.class_name if site.origin else ""
    states = {"seed_generator/state": np.zeros(2, np.uint32)} if module.p > 0 else {}
    return site.layer(named if named in KINDS else "Dropout", {"rate": module.p}, states)


RULES: Rules = {"Dropout": dropout}
