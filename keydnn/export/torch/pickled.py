"""The ``.pt`` file: the one place that needs PyTorch."""

from __future__ import annotations

import io
from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

from keydnn.errors import ExportError


def pt_bytes(state: Mapping[str, npt.NDArray[np.generic]]) -> bytes:
    """Give a state_dict as ``torch.save`` writes it: ``torch.load(..., weights_only=True)`` reads it.

    Parameters
    ----------
    state
        Arrays by PyTorch's names; they are stored bit for bit, in their order.

    Raises
    ------
    ExportError
        PyTorch is not installed.
    """
    try:
        import torch
    except ImportError:
        message = (
            "PyTorch, which writes .pt files, is not here: pip install keydnn[torch], or --to a .py: that needs none"
        )
        raise ExportError(message) from None
    file = io.BytesIO()
    torch.save({name: torch.from_numpy(np.array(array)) for name, array in state.items()}, file)
    return file.getvalue()
