"""``passes_mask`` of every builder against ``supports_masking`` of the real layers."""

from __future__ import annotations

import inspect

import pytest

from keydnn.convert.build import BUILDERS
from tests.parity.kerases import KERASES, quiet

pytestmark = pytest.mark.parity

# For arguments without a default; a class of which they are none takes its own.
ARGUMENTS = {
    "activation": "relu", "axes": 1, "dims": (1,), "factor": 0.2, "filters": 2,
    "head_dim": 2, "height": 2, "height_factor": 0.2, "input_dim": 2, "kernel_size": 2, "key_dim": 2, "n": 2,
    "num_bins": 3, "num_heads": 2, "num_key_value_heads": 1, "num_query_heads": 2, "output_dim": 2,
    "output_size": 2, "pool_size": 2, "rate": 0.1, "scale": 2.0, "stddev": 0.1, "target_shape": (2,), "units": 2,
    "width": 2, "width_factor": 0.2, "x_factor": 0.2, "y_factor": 0.2,
}  # fmt: skip
OWN = {
    "CategoryEncoding": {"num_tokens": 3},
    "Discretization": {"bin_boundaries": [1.0]},
    "EinsumDense": {"equation": "ab,bc->ac", "output_shape": 2},
    "RandomPosterization": {"factor": 4},
}
WRAPPERS = {"Bidirectional", "RNN", "TimeDistributed"}  # of these it depends on what is in them: test_masks.py
BUILT = {"GroupQueryAttention", "MultiHeadAttention"}  # their builders say it


def made(library, class_name):
    """Give a layer of a class, or None if the Keras has none."""
    kind = getattr(library.layers, class_name, None)
    if kind is None:
        return None
    options = OWN.get(class_name)
    if options is None:
        needed = [p.name for p in inspect.signature(kind.__init__).parameters.values() if p.default is p.empty]
        options = {name: ARGUMENTS[name] for name in needed if name in ARGUMENTS}
    with quiet():
        return kind(**options)


@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize("class_name", sorted(set(BUILDERS) - WRAPPERS))
def test_a_layer_hands_its_mask_on_if_it_does_in_keras(class_name, name):
    library = KERASES[name]
    layer = made(library, class_name)
    if layer is None:
        return
    builder = BUILDERS[class_name]
    passes = bool(builder.passes_mask) and int(library.__version__.partition(".")[0]) >= builder.passes_mask
    if class_name in BUILT or type(layer).compute_mask is not library.layers.Layer.compute_mask:
        assert not passes, "the builder says what becomes of its mask"
    else:
        assert passes == layer.supports_masking
