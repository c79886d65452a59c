"""How much a stranger's file may ask for, all in one place.

What fits no real model is fixed; what a user may want more of is in :class:`Limits`.
"""

from __future__ import annotations

from dataclasses import dataclass

MAX_CONFIG = 16 << 20  # bytes of a JSON document; the largest model_config of keras.applications is below 2 MB
MAX_ATTRIBUTE = 64 << 20  # bytes of an HDF5 attribute
MAX_ASSET = 256 << 20  # bytes of a vocabulary; one of a million words has some ten million
MAX_SHARDS = 10_000  # files that one model may lie in


@dataclass(frozen=True)
class Limits:
    """What a user may allow more of.

    Attributes
    ----------
    max_weights
        Bytes of all weights together, as they are in the file once unpacked.
    timeout
        Seconds that one request to the HDF5 library may take, beside what reading numbers takes at 16 MiB a second.
    """

    max_weights: int = 4 << 30
    timeout: float = 10.0


DEFAULT = Limits()
