"""Convolutional LSTMs."""

import numpy as np

from keydnn.modules import ConvLSTM1d, ConvLSTM2d, ConvLSTM3d
from tests.export.case import Case, filled, numbers

X, H, C = numbers(2, 4, 12, 5, 6), numbers(2, 3, 5, 6, seed=1), numbers(2, 3, 5, 6, seed=2)
MASK = np.float32([[0, 1, 0, 1], [1, 1, 0, 0]])
OPTIONS = {
    "": {},
    ", sequences": {"return_sequences": True},
    ", state": {"return_state": True},
    ", sequences, state": {"return_sequences": True, "return_state": True},
    ", sequences, backwards": {"return_sequences": True, "go_backwards": True},
    ", first state": {"has_state": True},
    ", mask, sequences": {"has_mask": True, "return_sequences": True},
    ", mask, zeros, state": {"has_mask": True, "zero_output_for_mask": True, "return_state": True},
    ", mask, first state, sequences, backwards": {
        "has_mask": True, "has_state": True, "return_sequences": True, "go_backwards": True
    },
    ", ReLU, HardSigmoid": {"activation": "ReLU", "recurrent_activation": ("HardSigmoid", 0.2, 0.5, 1.0)},
}  # fmt: skip


def images(kernel, **options):
    """Give a case of three channels."""
    masks = (MASK,) if options.get("has_mask") else ()
    states = (H, C) if options.get("has_state") else ()
    return Case(filled(ConvLSTM2d(3, kernel, **options)), (X, *masks, *states))


CASES = {f"2d{name}": images(3, **options) for name, options in OPTIONS.items()} | {
    "2d, even and odd kernels": images((2, 3)),
    "2d, large kernels": images((5, 4), return_sequences=True),
    "1d": Case(filled(ConvLSTM1d(2, 3, return_sequences=True)), (numbers(2, 4, 8, 5),)),
    "1d, even kernel, mask": Case(filled(ConvLSTM1d(2, 4, has_mask=True)), (numbers(2, 4, 8, 5), MASK)),
    "3d": Case(filled(ConvLSTM3d(2, (3, 2, 1), return_state=True)), (numbers(1, 2, 8, 3, 4, 2),)),
}
