"""CategoryEncoding and Discretization in both Kerases and from every source."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

from keydnn import from_keras
from keydnn.errors import KerasInteropError, ShapeError
from tests.parity import cases
from tests.parity.cases import COVERED
from tests.parity.kerases import Case, check, parameters, quiet, save, tf_keras

tf = pytest.importorskip("tensorflow")
pytestmark = pytest.mark.parity

CASES: list[Case] = []
one = partial(cases.one, CASES)


def ids(most):
    return {"draw": lambda random, shape: random.integers(0, most, shape)}


for mode in ("one_hot", "multi_hot", "count"):
    one(f"{mode}-1", "CategoryEncoding", (1,), case=ids(4), num_tokens=4, output_mode=mode)
    if mode != "one_hot":
        one(f"{mode}-5", "CategoryEncoding", (5,), case=ids(4), num_tokens=4, output_mode=mode)
        one(f"{mode}-free", "CategoryEncoding", (None,), case=ids(4), num_tokens=4, output_mode=mode)
        one(
            f"{mode}-beyond", "CategoryEncoding", (5,), case=ids(9), kerases=("keras3",), num_tokens=4, output_mode=mode
        )
    one(
        f"{mode}-integers", "CategoryEncoding", (1,),
        case={**ids(4), "dtypes": ("int64",)}, num_tokens=4, output_mode=mode,
    )  # fmt: skip
one("one_hot-rank-1", "CategoryEncoding", (), case=ids(4), num_tokens=4, output_mode="one_hot")
for what, shape in {"5": (5,), "rank-3": (2, 3), "rank-3-1": (2, 1), "free": (None,)}.items():
    one(
        f"one_hot-{what}", "CategoryEncoding", shape,
        case={"draw": lambda random, shape: random.integers(-2, 6, shape)},
        kerases=("keras3",), num_tokens=4, output_mode="one_hot",
    )  # fmt: skip
one("binary", "CategoryEncoding", (5,), case=ids(4), num_tokens=4, output_mode="binary")


def weighed(library, ids, weights):
    """Keras 2 takes no float ids beside weights."""
    return library.layers.CategoryEncoding(4, output_mode="count")(ids, count_weights=weights)


CASES.append(Case("count_weights", ((5,), (5,)), weighed, **ids(4)))

for mode in ("int", "one_hot", "multi_hot", "count"):
    one(f"{mode}-1", "Discretization", (1,), bin_boundaries=[-0.5, 0.0, 0.3], output_mode=mode)
    if mode != "one_hot":
        one(f"{mode}-5", "Discretization", (5,), bin_boundaries=[-0.5, 0.0, 0.3], output_mode=mode)
one("one_hot-5", "Discretization", (5,), kerases=("keras3",), bin_boundaries=[-0.5, 0.1], output_mode="one_hot")
one("rank-3", "Discretization", (2, 3), bin_boundaries=[-0.5, 0.1])
one("rank-1", "Discretization", (), bin_boundaries=[-0.5, 0.1])
one("none", "Discretization", (5,), bin_boundaries=[])
one(
    "on-boundaries", "Discretization", (9,), bin_boundaries=[-0.1, 0.1, 0.1, 0.7],
    case={"draw": lambda random, shape: random.choice([-0.1, 0.1, 0.7, np.inf, -np.inf, np.nan, 0], shape)},
)  # fmt: skip


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_categories_agree(case, name, source):
    check(case, name, source)


@pytest.mark.parametrize(
    ("name", "mode", "wrong"),
    [("keras3", "multi_hot", -1), ("keras3", "count", -3), ("keras2", "one_hot", 4), ("keras2", "count", -1)],
)
def test_ids_without_a_class_are_refused_where_keras_refuses_them(name, mode, wrong):
    case = Case("x", ((1,),), lambda library, x: library.layers.CategoryEncoding(4, output_mode=mode)(x))
    model, x = case.model(name), np.full((2, 1), wrong, np.float32)
    with quiet(), pytest.raises(tf.errors.InvalidArgumentError):
        model(x)
    with pytest.raises(ShapeError, match="takes ids from 0"):
        from_keras(model)(x)


@pytest.mark.parametrize("source", ["h5", "keras", "live"])
@pytest.mark.parametrize("name", ["keras3", "keras2"])
@pytest.mark.parametrize("bins", [1, 4, 7, 40])
def test_boundaries_that_were_learnt_are_read(source, name, bins):
    """Keras 2 stores a summary, from which the boundaries follow; a live layer has its configuration of the start."""

    def build(library, x):
        layer = library.layers.Discretization(num_bins=bins)
        if library is tf_keras:
            layer.build((None, 3))
        layer.adapt(np.random.default_rng(0).standard_normal((10, 3)).astype(np.float32))
        return layer(x)

    check(Case(f"adapted-{bins}", ((3,),), build), name, source)


def test_what_keras_computes_otherwise_than_it_says_is_refused():
    """Several axes before the ids: Keras 3 adds up the first of them, whatever shape it declares."""
    for class_name, shape, options in (
        ("CategoryEncoding", (2, 3), {"num_tokens": 4}),
        ("CategoryEncoding", (), {"num_tokens": 4}),
        ("Discretization", (2, 3), {"bin_boundaries": [0.0], "output_mode": "count"}),
    ):
        case = Case("x", (shape,), lambda library, x, c=class_name, o=options: getattr(library.layers, c)(**o)(x))
        with pytest.raises(KerasInteropError, match=r"only \(N, ids\)"):
            from_keras(case.model("keras3"))


def test_a_layer_that_was_never_adapted_is_refused():
    model = tf_keras.Sequential([tf_keras.Input((3,)), tf_keras.layers.Discretization(num_bins=4)])
    with pytest.raises(KerasInteropError, match="bin_boundaries=None"):
        from_keras(save(model, "never-adapted")["keras"])


def test_all_classes_have_cases():
    assert {"CategoryEncoding", "Discretization"} <= COVERED
