"""What is reported, as JSON."""

from __future__ import annotations

import json
import math
from typing import Any


def json_text(data: Any) -> str:
    """Write plain data as JSON; numbers that are not finite, which JSON lacks, as text: ``"inf"``, ``"nan"``."""
    return json.dumps(_finite(data), indent=1, ensure_ascii=True, allow_nan=False) + "\n"


def _finite(data: Any) -> Any:
    if isinstance(data, dict):
        return {key: _finite(value) for key, value in data.items()}
    if isinstance(data, (list, tuple)):
        return [_finite(value) for value in data]
    return str(data) if isinstance(data, float) and not math.isfinite(data) else data
