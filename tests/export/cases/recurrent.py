"""Recurrent layers, and steps of sequences."""

import numpy as np

from keydnn.modules import GRU, LSTM, SimpleRNN, Steps
from tests.export.case import Case, filled, numbers

X, H, C = numbers(2, 5, 3), numbers(2, 4, seed=1), numbers(2, 4, seed=2)
MASK = np.float32([[0, 1, 0, 1, 1], [1, 1, 0, 0, 0]])
STATES = {"LSTM": (H, C), "GRU": (H,), "SimpleRNN": (H,)}
KINDS = {"LSTM": LSTM, "GRU": GRU, "SimpleRNN": SimpleRNN}
OPTIONS = {
    "": {},
    ", no bias": {"use_bias": False},
    ", sequences": {"return_sequences": True},
    ", state": {"return_state": True},
    ", sequences, state": {"return_sequences": True, "return_state": True},
    ", backwards": {"go_backwards": True},
    ", sequences, backwards": {"return_sequences": True, "go_backwards": True},
    ", first state": {"has_state": True},
    ", first state, sequences, backwards, state": {
        "has_state": True, "return_sequences": True, "go_backwards": True, "return_state": True
    },
    ", mask": {"has_mask": True},
    ", mask, sequences": {"has_mask": True, "return_sequences": True},
    ", mask, sequences, zeros": {"has_mask": True, "return_sequences": True, "zero_output_for_mask": True},
    ", mask, zeros, state": {"has_mask": True, "zero_output_for_mask": True, "return_state": True},
    ", mask, backwards, sequences, state": {
        "has_mask": True, "go_backwards": True, "return_sequences": True, "return_state": True
    },
    ", mask, first state, sequences": {"has_mask": True, "has_state": True, "return_sequences": True},
    ", mask, no bias": {"has_mask": True, "use_bias": False},
    ", ReLU": {"activation": "ReLU"},
    ", Softsign": {"activation": "Softsign"},
    ", Identity": {"activation": "Identity", "return_sequences": True},
    ", ReLU of 6": {"activation": ("ReLU", 6.0)},
    ", Softmax": {"activation": "Softmax"},
    ", GELU, mask": {"activation": "GELU", "has_mask": True},
}  # fmt: skip
GATED = {
    ", HardSigmoid": {"recurrent_activation": ("HardSigmoid", 0.2, 0.5, 1.0)},
    ", HardSigmoid of 6, Softsign": {"recurrent_activation": "HardSigmoid", "activation": "Softsign"},
    ", Softmax of gates": {"recurrent_activation": "Softmax"},
    ", SiLU of gates": {"recurrent_activation": "SiLU"},
}
BEFORE = ("", ", no bias", ", mask, sequences", ", first state", ", ReLU", ", Softmax")


def layer(kind, **options):
    """Give a case of a layer of 4 units."""
    module = filled(KINDS[kind](3, 4, **options))
    masks = (MASK,) if module.has_mask else ()
    return Case(module, (X, *masks, *(STATES[kind] if module.has_state else ())))


CASES = (
    {f"{kind}{name}": layer(kind, **options) for kind in KINDS for name, options in OPTIONS.items()}
    | {f"{kind}{name}": layer(kind, **options) for kind in ("LSTM", "GRU") for name, options in GATED.items()}
    | {f"GRU, reset before{name}": layer("GRU", reset_after=False, **OPTIONS[name]) for name in BEFORE}
    | {
        "one step": Case(filled(LSTM(3, 4)), (X[:, :1],)),
        "one unit": Case(filled(GRU(3, 1, has_mask=True)), (X, MASK)),
        "step": Case(Steps(1), (X,)),
        "step from the end": Case(Steps(-2), (numbers(2, 5, 3, 2),)),
        "steps": Case(Steps(1, 3), (X,)),
        "steps to the end": Case(Steps(-2, "end"), (X,)),
        "steps, some behind the end": Case(Steps(-9, 9), (X,)),
        "steps but the last": Case(Steps(0, -1), (X,)),
    }
)
