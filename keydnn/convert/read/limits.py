"""How much a stranger's file may ask for, all in one place.

What fits no real model is fixed; what a user may want more of is in :class:`Limits`.
"""

from __future__ import annotations

from dataclasses import dataclass

from keydnn.errors import ParameterError

MAX_CONFIG = 16 << 20  # bytes of a JSON document; the largest model_config of keras.applications is below 2 MB
MAX_ATTRIBUTE = 64 << 20  # bytes of an HDF5 attribute
MAX_ASSET = 256 << 20  # bytes of a vocabulary; one of a million words has some ten million
MAX_SHARDS = 10_000  # files that one model may lie in
MAX_DEPTH = 100  # groups in groups of an HDF5 file; each model in a model takes two
MAX_RANK = 32  # what every NumPy allows, and HDF5
PATIENCE = 6  # times the timeout: as long may all answers of the HDF5 library for one model take
MOST_WEIGHTS = 1 << 44  # bytes: beyond it, a number is a slip


@dataclass(frozen=True)
class Limits:
    """What a user may allow more of.

    Attributes
    ----------
    max_weights
        Bytes of all weights together, as they are in the file once unpacked.
    timeout
        Seconds that one request to the HDF5 library may take, beside what reading numbers takes at 16 MiB a second;
        all requests for one model may take ``PATIENCE`` times as long.
    """

    max_weights: int = 4 << 30
    timeout: float = 10.0

    def __post_init__(self) -> None:
        """Raise ParameterError for limits that make no sense."""
        if type(self.max_weights) is not int or not 0 < self.max_weights <= MOST_WEIGHTS:
            raise ParameterError(f"max_weights must be bytes, from 1 to {MOST_WEIGHTS}, got {self.max_weights!r}")
        if (
            isinstance(self.timeout, bool)
            or not isinstance(self.timeout, (int, float))
            or not 0 < self.timeout <= 86400
        ):
            raise ParameterError(f"timeout must be seconds, above 0 and at most 86400, got {self.timeout!r}")


DEFAULT = Limits()
