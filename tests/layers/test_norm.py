"""Normalizations against the float64 oracle."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from keydnn.errors import MissingWeightsError, ParameterError, ShapeError
from keydnn.modules import BatchNorm1d, BatchNorm2d, BatchNorm3d, GroupNorm, LayerNorm, RMSNorm, UnitNorm
from keydnn.reference import f64
from keydnn.reference.norm import batch_norm, group_norm, layer_norm, rms_norm, unit_norm
from tests.properties import assert_any_thread_count
from tests.within import assert_within, ulps

AFFINE = [
    pytest.param(True, True, id="weight-and-bias"),
    pytest.param(True, False, id="weight"),
    pytest.param(False, True, id="bias"),
    pytest.param(False, False, id="neither"),
]


def random(seed, *shape):
    return np.random.default_rng(seed).standard_normal(shape).astype(np.float32)


def with_weights(module):
    tensors = {name: random(7 + i, *shape) for i, (name, shape) in enumerate(module.tensor_shapes().items())}
    if "running_var" in tensors:
        tensors["running_var"] = np.abs(tensors["running_var"]) + 0.1
    return module.with_tensors(tensors)


def check_batch_norm(module, x):
    module = with_weights(module)
    weight = module.weight if module.use_weight else np.ones(module.num_features)
    bias = module.bias if module.use_bias else np.zeros(module.num_features)
    wanted = batch_norm(x, weight, bias, module.running_mean, module.running_var, module.eps)
    scaled = wanted - f64(bias).reshape(-1, *[1] * (x.ndim - 2))
    found = module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape) == x.shape
    # the factor is rounded once, then a difference, a product and a sum
    assert_within(found, wanted, 2.0**-24 * (3 * abs(scaled) + abs(wanted)) + np.finfo(np.float32).tiny)


@pytest.mark.parametrize(("use_weight", "use_bias"), AFFINE)
@pytest.mark.parametrize(
    ("kind", "sizes"),
    [
        pytest.param(BatchNorm1d, (), id="features"),
        pytest.param(BatchNorm1d, (9,), id="sequence"),
        pytest.param(BatchNorm2d, (4, 5), id="image"),
        pytest.param(BatchNorm3d, (2, 4, 5), id="volume"),
    ],
)
@pytest.mark.parametrize("batch", [0, 1, 3])
def test_batch_norm_agrees_with_the_oracle(kind, sizes, use_weight, use_bias, batch):
    module = kind(6, 1e-3, use_weight, use_bias)
    assert set(module.tensor_shapes()) == {"running_mean", "running_var"} | ({"weight"} if use_weight else set()) | (
        {"bias"} if use_bias else set()
    )
    check_batch_norm(module, 3 * random(1, batch, 6, *sizes) + 1)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 3), st.integers(1, 5), st.lists(st.integers(0, 5), max_size=2), st.booleans(), st.booleans())
def test_batch_norm_agrees_with_the_oracle_for_any_shape(batch, channels, sizes, use_weight, use_bias):
    kind = BatchNorm2d if len(sizes) == 2 else BatchNorm1d
    check_batch_norm(kind(channels, 1e-3, use_weight, use_bias), random(2, batch, channels, *sizes))


def test_batch_norm_rounds_its_factor_once():
    module = with_weights(BatchNorm1d(1000, 1e-3))
    variance = f64(module.running_var) + 1e-3
    np.testing.assert_array_equal(module.factor, (f64(module.weight) / np.sqrt(variance)).astype(np.float32))
    in_float32 = module.weight / np.sqrt(module.running_var + np.float32(1e-3))
    assert np.any(in_float32 != module.factor)  # so the line above can tell


def test_batch_norm_passes_nan_and_infinity_on():
    module = BatchNorm1d(1, weight=[2], bias=[1], running_mean=[3], running_var=[4])
    np.testing.assert_array_equal(module(np.array([[np.nan], [np.inf], [-np.inf]])), [[np.nan], [np.inf], [-np.inf]])
    negative = module.with_tensors({"running_var": [-4.0]})
    np.testing.assert_array_equal(negative(np.ones((1, 1))), [[np.nan]])


def check_layer_norm(module, x):
    module = with_weights(module)
    weight = module.weight if module.use_weight else np.ones(module.normalized_shape)
    bias = module.bias if module.use_bias else np.zeros(module.normalized_shape)
    wanted = layer_norm(x, weight, bias, module.eps)
    found = module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape) == x.shape
    # float64 throughout, rounded once; float64's own errors are far below where x does not dwarf its deviation
    slack = 2.0**-40 * (1 + abs(f64(weight)) + abs(f64(bias)))
    assert_within(found, wanted, ulps(1, wanted) + slack)


@pytest.mark.parametrize(("use_weight", "use_bias"), AFFINE)
@pytest.mark.parametrize(
    ("normalized_shape", "shape"),
    [
        pytest.param(8, (3, 8), id="features"),
        pytest.param(8, (2, 5, 8), id="last-axis"),
        pytest.param((4, 5), (3, 4, 5), id="two-axes"),
        pytest.param((3, 4, 5), (2, 3, 4, 5), id="all-but-batch"),
        pytest.param(1, (3, 1), id="one-cell"),
        pytest.param(8, (0, 8), id="empty-batch"),
    ],
)
def test_layer_norm_agrees_with_the_oracle(normalized_shape, shape, use_weight, use_bias):
    check_layer_norm(LayerNorm(normalized_shape, 1e-3, use_weight, use_bias), 3 * random(3, *shape) + 1)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(0, 4), min_size=1, max_size=2), st.lists(st.integers(1, 6), min_size=1, max_size=2))
def test_layer_norm_agrees_with_the_oracle_for_any_shape(outer, normalized_shape):
    check_layer_norm(LayerNorm(normalized_shape, 1e-3), random(4, *outer, *normalized_shape))


def test_layer_norm_keeps_its_digits_beside_a_large_mean():
    x = (1000 + random(5, 4, 64)).astype(np.float32)
    check_layer_norm(LayerNorm(64, 1e-3), x)


def test_layer_norm_of_equal_cells_is_the_bias():
    module = LayerNorm(3, 1e-3, weight=[1, 2, 3], bias=[4, 5, 6])
    np.testing.assert_array_equal(module(np.full((1, 3), 7)), [[4, 5, 6]])


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_layer_norm_gives_nan_for_a_row_without_a_mean_or_variance(value):
    found = LayerNorm(3, use_weight=False, use_bias=False)(np.array([[1, value, 2], [1, 2, 3]]))
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


def check_rows(module, wanted, x):
    """Compare with what was computed in float64 throughout and rounded once, as the kernels do."""
    found = module(x)
    assert found.dtype == np.float32
    assert found.shape == module.output_shape(x.shape) == x.shape
    assert_within(found, wanted, ulps(1, wanted) + 2.0**-40)


@pytest.mark.parametrize(("use_weight", "use_bias"), AFFINE)
@pytest.mark.parametrize("groups", [1, 3, 6])
@pytest.mark.parametrize("shape", [(3, 6), (2, 6, 9), (2, 6, 4, 5), (1, 6, 2, 3, 4), (0, 6, 4, 5)])
def test_group_norm_agrees_with_the_oracle(shape, groups, use_weight, use_bias):
    module = with_weights(GroupNorm(groups, 6, 1e-3, use_weight, use_bias))
    x = 3 * random(8, *shape) + 1
    weight, bias = module.tensors().get("weight", np.ones(6)), module.tensors().get("bias", np.zeros(6))
    check_rows(module, group_norm(x, groups, weight, bias, 1e-3), x)


@pytest.mark.parametrize("centered", [False, True])
@pytest.mark.parametrize("use_weight", [False, True])
@pytest.mark.parametrize(
    ("normalized_shape", "shape"), [(8, (3, 8)), ((4, 5), (3, 4, 5)), ((5,), (2, 4, 5)), (8, (0, 8)), (100, (2, 100))]
)
def test_rms_norm_agrees_with_the_oracle(normalized_shape, shape, use_weight, centered):
    module = with_weights(RMSNorm(normalized_shape, 1e-6, use_weight, centered=centered))
    weight = module.weight if use_weight else np.ones(module.normalized_shape)
    x = 3 * random(9, *shape) + 1
    check_rows(module, rms_norm(x, weight, 1e-6, centered), x)


@pytest.mark.parametrize(
    ("start_dim", "shape"), [(-1, (3, 8)), (1, (3, 4, 5)), (-2, (3, 4, 5)), (2, (3, 4, 5)), (-1, (0, 8)), (-1, (2, 0))]
)
def test_unit_norm_agrees_with_the_oracle(start_dim, shape):
    x = random(10, *shape)
    check_rows(UnitNorm(start_dim), unit_norm(x, start_dim, 1e-12), x)


def test_unit_norm_divides_by_no_less_than_eps():
    np.testing.assert_array_equal(UnitNorm()(np.zeros((1, 3))), np.zeros((1, 3)))
    np.testing.assert_array_equal(
        UnitNorm(eps=0.5)(np.array([[0.125, 0], [3, 4]])), np.float32([[0.25, 0], [0.6, 0.8]])
    )


@pytest.mark.parametrize("module", [GroupNorm(1, 1, weight=[1], bias=[2]), RMSNorm(3, weight=[1, 2, 3]), UnitNorm()])
def test_a_row_with_nan_is_nan_throughout(module):
    rows = np.array([[1, np.nan, 2], [1, 2, 3]])
    found = module(rows[:, None]).reshape(2, 3)
    assert np.isnan(found[0]).all()
    assert np.isfinite(found[1]).all()


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        pytest.param(BatchNorm2d(17), (3, 17, 20, 21), id="batch-norm"),
        pytest.param(GroupNorm(4, 16), (3, 16, 20, 21), id="group-norm"),
        pytest.param(RMSNorm(130), (77, 130), id="rms-norm"),
        pytest.param(UnitNorm(), (77, 130), id="unit-norm"),
        pytest.param(LayerNorm(130), (77, 130), id="layer-norm"),
    ],
)
def test_any_thread_count_gives_the_same_bits(module, shape):
    assert_any_thread_count(with_weights(module), random(6, *shape))


@pytest.mark.parametrize(
    ("make", "word"),
    [
        pytest.param(lambda: BatchNorm2d(0), "num_features", id="no-features"),
        pytest.param(lambda: BatchNorm2d(3, -1e-5), "eps", id="negative-eps"),
        pytest.param(lambda: BatchNorm1d(3, "1e-5"), "eps", id="text-eps"),
        pytest.param(lambda: BatchNorm1d(3, 1e-5, 1), "use_weight", id="int-for-bool"),
        pytest.param(lambda: LayerNorm(3, use_bias=None), "use_bias", id="none-for-bool"),
        pytest.param(lambda: LayerNorm(()), "normalized_shape", id="no-axes"),
        pytest.param(
            lambda: GroupNorm(4, 6), "num_groups=4 must divide num_channels=6", id="groups-that-do-not-divide"
        ),
        pytest.param(lambda: RMSNorm(3, centered=1), "centered", id="centered-int"),
        pytest.param(lambda: UnitNorm(eps=0), "eps", id="unit-eps-0"),
        pytest.param(lambda: UnitNorm(1.0), "start_dim", id="unit-float-axis"),
        pytest.param(lambda: LayerNorm((3, 0)), "normalized_shape", id="empty-axis"),
        pytest.param(lambda: BatchNorm2d(1, use_weight=False, weight=[1]), "weight", id="weight-that-is-off"),
    ],
)
def test_bad_parameters_are_refused_by_name(make, word):
    with pytest.raises(ParameterError, match=word):
        make()


@pytest.mark.parametrize(
    ("module", "shape", "words"),
    [
        pytest.param(BatchNorm2d(3), (1, 3, 4), r"\(N, 3, H, W\), got \(1, 3, 4\)", id="rank-3-for-images"),
        pytest.param(BatchNorm2d(3), (1, 4, 4, 3), r"\(N, 3, H, W\), got \(1, 4, 4, 3\)", id="channels-last"),
        pytest.param(BatchNorm1d(3), (1, 3, 4, 4), r"\(N, 3\) or \(N, 3, L\), got", id="rank-4-for-features"),
        pytest.param(BatchNorm1d(3), (1, 4), r"\(N, 3\), got \(1, 4\)", id="other-features"),
        pytest.param(BatchNorm3d(3), (1, 3, 4, 4), r"\(N, 3, D, H, W\), got", id="rank-4-for-volumes"),
        pytest.param(GroupNorm(1, 3), (1, 4, 4, 3), r"\(N, 3, \.\.\.\), got", id="group-other-channels"),
        pytest.param(GroupNorm(1, 3), (1, 3, 0), "with cells in it", id="group-of-nothing"),
        pytest.param(RMSNorm(3), (2, 4), r"\(N, ..., 3\), got \(2, 4\)", id="rms-other-size"),
        pytest.param(UnitNorm(-2), (2, 4), "axis -2 behind the batch", id="unit-batch-axis"),
        pytest.param(UnitNorm(2), (2, 4), "axis 2 behind the batch", id="unit-beyond-the-last"),
        pytest.param(LayerNorm(3), (3,), r"\(N, ..., 3\), got \(3,\)", id="no-batch-axis"),
        pytest.param(LayerNorm((3, 4)), (2, 4, 4), r"\(N, ..., 3, 4\), got \(2, 4, 4\)", id="other-sizes"),
    ],
)
def test_wrong_inputs_are_refused_before_any_kernel_runs(module, shape, words):
    with pytest.raises(ShapeError, match=words):
        with_weights(module)(np.zeros(shape))


def test_missing_weights_are_named():
    with pytest.raises(MissingWeightsError, match=r"BatchNorm2d.*running_mean, running_var"):
        BatchNorm2d(3, use_weight=False, use_bias=False)(np.zeros((1, 3, 2, 2)))
