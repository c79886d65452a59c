"""Settings for all tests."""

from __future__ import annotations

import os

# NumPy's own threads would wait busily beside the kernels' threads: on two cores every kernel then takes milliseconds.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
