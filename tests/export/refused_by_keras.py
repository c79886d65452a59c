"""Cases that the exporter to Keras refuses, and what it says."""

from __future__ import annotations

from tests.export.cases import CASES

MODES = ("area", "gaussian", "mitchellcubic")
REFUSED = (
    {f"constant-{name}": "cannot be an output" for name in ("one number", "an example")}
    | {f"resize-{mode}, {how}": f"mode='{mode}'" for mode in MODES for how in ("larger", "smaller", "antialias")}
    | {name: "not one convolution of all steps" for name in CASES if name.startswith("conv_lstm-")}
)
