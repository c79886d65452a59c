"""Numbers of the model itself."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.export.onnx.site import Rules, Site


def constant(module: Any, site: Site) -> str:
    return site.weight("value", np.expand_dims(module.value, 0))


RULES: Rules = {"Constant": constant}
