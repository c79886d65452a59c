"""Dense in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import pytest

from keydnn import from_keras
from keydnn.errors import KerasInteropError
from tests.parity import cases
from tests.parity.kerases import SOURCES, Case, check, parameters, quiet, save

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)

one("rank-2", "Dense", (7,), units=5)
one("rank-3", "Dense", (3, 7), units=5)
one("rank-4", "Dense", (2, 3, 7), units=5)
one("rank-5", "Dense", (2, 3, 4, 7), units=5)
one("rank-3-free", "Dense", (None, 7), units=5)
one("rank-4-free", "Dense", (None, None, 7), units=5)
one("no-bias", "Dense", (7,), units=1, use_bias=False)
one("input-dim", "Dense", (7,), kerases=("keras2",), units=5, input_dim=7)
one("lora", "Dense", (7,), kerases=("keras3",), units=5, lora_rank=2)
one("lora-alpha", "Dense", (3, 7), kerases=("keras3",), units=5, lora_rank=2, lora_alpha=3, use_bias=False)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_dense_agrees(case, name, source):
    check(case, name, source)


@pytest.mark.parametrize("mode", ["int8", "int4", "float8"])
@pytest.mark.parametrize("source", SOURCES)
def test_a_quantized_layer_is_refused_with_the_way_out(source, mode):
    model = Case("quantized", ((8,),), lambda library, x: library.layers.Dense(4)(x)).model("keras3")
    with quiet():
        model.quantize(mode)
    with pytest.raises(KerasInteropError, match=r"^Unsupported Keras layer: Dense with ") as caught:
        from_keras(save(model, f"quantized-{mode}")[source])
    assert all("save the model as it was before quantize()" in obstacle.found for obstacle in caught.value.obstacles)
