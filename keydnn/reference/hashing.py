"""Hashing: every element by itself, in text."""

from __future__ import annotations

from typing import Any

import numpy as np

from keydnn.modules.fingerprint import cross, fingerprint64
from keydnn.reference.bounds import Bounded, Rules, exact
from keydnn.reference.lookup import bucket, element_by_element


def hashed(module: Any, item: Any) -> Any:
    token = item if isinstance(item, str) else int(item)
    masked = module.mask_value is not None and module.num_bins > 1
    if masked and token == module.mask_value:
        return 0
    return masked + bucket(str(token), module.num_bins - masked, module.salt)


def crossed(module: Any, *inputs: Bounded) -> Bounded:
    columns = [[fingerprint64(v.encode()) if isinstance(v, str) else int(v) for v in x.value.flat] for x in inputs]
    found = [cross(row) % module.num_bins for row in zip(*columns, strict=True)]
    return exact(np.reshape(found, inputs[0].value.shape))


RULES: Rules = {"Hash": element_by_element(hashed), "HashedCross": crossed}
