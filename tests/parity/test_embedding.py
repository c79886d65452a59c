"""Embedding in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import ShapeError
from tests.parity import cases
from tests.parity.kerases import Case, answer, built, check, parameters, quiet

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)


def ids(least, most):
    """Draw ids, with fractions that Keras cuts off."""
    return {
        "draw": lambda random, shape: np.trunc(random.uniform(least, most, shape)) + random.choice([0, 0.75], shape)
    }


one("rank-2", "Embedding", (7,), case=ids(0, 9), input_dim=9, output_dim=5)
one("rank-1", "Embedding", (), case=ids(0, 9), input_dim=9, output_dim=5, kerases=("keras3",))
one("rank-3", "Embedding", (2, 3), case=ids(0, 9), input_dim=9, output_dim=5)
one("free-length", "Embedding", (None,), case=ids(0, 9), input_dim=9, output_dim=5)
one("one-row", "Embedding", (4,), case=ids(0, 1), input_dim=1, output_dim=1)
one("input-length", "Embedding", (7,), case=ids(0, 9), kerases=("keras2",), input_dim=9, output_dim=5, input_length=7)
one("mask-zero-unused", "Embedding", (7,), case=ids(0, 9), input_dim=9, output_dim=5, mask_zero=True)


def there_and_back(what, **options):
    """Add the case of a ReversibleEmbedding called both ways."""
    cases.COVERED.add("ReversibleEmbedding")

    def build(library, x):
        layer = library.layers.ReversibleEmbedding(9, 5, **options)
        return layer(library.layers.Dense(5)(layer(x)), reverse=True)

    CASES.append(Case(f"ReversibleEmbedding-{what}", ((7,),), build, ("keras3",), **ids(0, 9)))


there_and_back("tied")
there_and_back("untied", tie_weights=False)
there_and_back("capped", logit_soft_cap=3.0)
there_and_back("masked", mask_zero=True, logit_soft_cap=2)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_embedding_agrees(case, name, source):
    check(case, name, source)


@pytest.mark.parametrize(("name", "wrong"), [("keras2", -1), ("keras2", 9), ("keras3", -10), ("keras3", np.nan)])
def test_ids_without_a_row_are_refused_where_keras_refuses_them(name, wrong):
    case = next(case for case in CASES if case.id == "Embedding-rank-2")
    model, x = case.model(name), np.full((2, 7), wrong, np.float32)
    with quiet(), pytest.raises(tf.errors.InvalidArgumentError):
        model(x)
    with pytest.raises(ShapeError, match="takes ids from"):
        from_keras(model)(x)


def test_keras_3_counts_negative_ids_from_the_end():
    case = Case("negative", ((7,),), lambda library, x: library.layers.Embedding(9, 5)(x))
    model, x = case.model("keras3"), np.arange(-9, 5, dtype=np.float32).reshape(2, 7)
    np.testing.assert_array_equal(from_keras(model)(x), answer(model, x))


def lora(library, x):
    layer = library.layers.Embedding(9, 6, lora_rank=2, lora_alpha=3)
    return layer(x)


@pytest.mark.parametrize("source", ["keras", "h5", "live"])
def test_lora_is_a_part_of_the_table(source):
    """``.keras`` files hold the sum, the others both; a float32 product of two columns is off by a rounding or two."""
    case = Case("lora", ((7,),), lora, ("keras3",), **ids(0, 9))
    sources, x, wanted = built(case, "keras3")
    np.testing.assert_allclose(from_keras(sources[source])(x), wanted, rtol=0, atol=4e-6)


def masked(library, x):
    """A mask changes what a recurrent layer gives, and which steps it skips."""
    words = library.layers.Embedding(4, 3, mask_zero=True)(x)
    return library.layers.SimpleRNN(2, return_sequences=True)(words)


@pytest.mark.parametrize(("case", "name", "source"), parameters([Case("mask", ((6,),), masked, **ids(0, 4))]))
def test_zeros_are_masked(case, name, source):
    check(case, name, source)


@pytest.mark.parametrize("name", ["keras2", "keras3"])
def test_the_mask_is_of_ids_as_they_were_given(name):
    """0.75 is id 0, but not masked."""
    case = Case("mask", ((6,),), masked, draw=lambda random, shape: np.tile([0, 0.75, 1], (shape[0], 2)))
    check(case, name, "live")
