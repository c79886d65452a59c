"""Which nodes become one unit, which must not, and that the answer stays the same."""

from __future__ import annotations

import numpy as np
import pytest

from keydnn.errors import ShapeError
from keydnn.modules import (
    Add,
    Affine,
    BatchNorm1d,
    BatchNorm2d,
    Concatenate,
    Conv1d,
    Conv2d,
    ConvTranspose2d,
    Dropout,
    Flatten,
    LeakyReLU,
    Linear,
    MaxPool2d,
    ReLU,
    Rescale,
    Reshape,
    Scalar,
    Subtract,
)
from keydnn.plan import Program
from tests.plan.graphs import Maker, arrays_for, assert_plan_agrees, conv, filled, image, random, units


def plain_chain():
    make = image()
    make("conv", conv(), "x")
    make("bn", BatchNorm2d(6), "conv")
    make("relu", ReLU(), "bn")
    return make.graph("relu"), ["conv+bn+relu"]


def no_bias():
    make = image()
    make("conv", conv(use_bias=False), "x")
    make("bn", BatchNorm2d(6, use_weight=False, use_bias=False), "conv")
    return make.graph("bn"), ["conv+bn"]


def two_norms():
    make = image()
    make("conv", conv(), "x")
    make("bn", BatchNorm2d(6), "conv")
    make("bn2", BatchNorm2d(6), "bn")
    make("relu", ReLU(), "bn2")
    return make.graph("relu"), ["conv+bn+bn2+relu"]


def residual_of_input():
    make = image()
    make("conv", conv(4), "x")
    make("bn", BatchNorm2d(4), "conv")
    make("add", Add(), "bn", "x")
    make("relu", ReLU(), "add")
    return make.graph("relu"), ["conv+bn+add+relu"]


def residual_first():
    make = image()
    make("conv", conv(4), "x")
    make("add", Add(), "x", "conv")
    return make.graph("add"), ["conv+add"]


def winograd_sized_residual():
    make = Maker(x=(24, 16, 19))
    make("conv", Conv2d(24, 24, 3, padding="same"), "x")
    make("bn", BatchNorm2d(24), "conv")
    make("add", Add(), "bn", "x")
    make("relu", ReLU(max_value=6), "add")
    return make.graph("relu"), ["conv+bn+add+relu"]


def strided_residual():
    make = image()
    make("a", conv(5, stride=2), "x")
    make("b", conv(5, 1, stride=2), "x")
    make("add", Add(), "a", "b")
    make("relu", ReLU(), "add")
    # the first convolution takes the sum in; it then waits for the second one
    return make.graph("relu"), ["b", "a+add+relu"]


def residual_computed_later():
    make = image()
    make("a", conv(5), "x")
    make("pool", MaxPool2d(3, 1, padding="same"), "x")
    make("b", conv(5, 1), "pool")
    make("leaky", LeakyReLU(), "b")
    make("add", Add(), "a", "leaky")
    return make.graph("add"), ["pool", "b+leaky", "a+add"]


def scaled_branch():
    make = image()
    make("conv", conv(4), "x")
    make("scale", Rescale(0.17, 0.3), "conv")
    make("add", Add(), "x", "scale")
    return make.graph("add"), ["conv+scale+add"]


def numbers_behind_a_convolution():
    make = image()
    make("conv", conv(4), "x")
    for place, (operation, value, reverse) in enumerate(
        [("multiply", 0.5, True), ("add", 3.0, False), ("subtract", 0.25, True), ("divide", 7.0, False)]
    ):
        make(f"number{place}", Scalar(operation, value, reverse), f"number{place - 1}" if place else "conv")
    make("relu", ReLU(6.0), "number3")
    return make.graph("relu"), ["conv+number0+number1+number2+number3+relu"]


def a_number_that_does_not_scale():
    make = image()
    make("conv", conv(4), "x")
    make("less", Scalar("subtract", 0.5), "conv")
    make("over", Scalar("divide", 2.0, reverse=True), "less")
    return make.graph("over"), ["conv+less+over"]


def affine_of_channels():
    make = image()
    make("conv", conv(6), "x")
    make("affine", Affine((6, 1, 1)), "conv")
    make("relu", ReLU(), "affine")
    return make.graph("relu"), ["conv+affine+relu"]


def affine_of_pixels():
    make = image()
    make("conv", conv(6), "x")
    make("affine", Affine((1, 1, 9)), "conv")
    return make.graph("affine"), ["conv", "affine"]


def norm_after_sum():
    make = image()
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "x")
    make("bn", BatchNorm2d(4), "add")
    return make.graph("bn"), ["conv+add", "bn"]


def norm_after_relu():
    make = image()
    make("conv", conv(4), "x")
    make("relu", ReLU(), "conv")
    make("bn", BatchNorm2d(4), "relu")
    return make.graph("bn"), ["conv+relu", "bn"]


def sum_after_relu():
    make = image()
    make("conv", conv(4), "x")
    make("relu", ReLU(), "conv")
    make("add", Add(), "relu", "x")
    return make.graph("add"), ["conv+relu", "add"]


def two_sums():
    make = image()
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "x")
    make("add2", Add(), "add", "x")
    return make.graph("add2"), ["conv+add", "add2"]


def two_relus():
    make = image()
    make("conv", conv(4), "x")
    make("relu", ReLU(), "conv")
    make("relu6", ReLU(max_value=0.5), "relu")
    return make.graph("relu6"), ["conv+relu", "relu6"]


def relu6():
    make = image()
    make("conv", conv(4), "x")
    make("relu", ReLU(max_value=0.4), "conv")
    return make.graph("relu"), ["conv+relu"]


def relu_to_zero():
    make = image()
    make("conv", conv(4), "x")
    make("relu", ReLU(max_value=0.0), "conv")
    make("plus", Add(), "relu", "x")
    return make.graph("plus"), ["conv+relu", "plus"]


def relu_with_slope():
    make = image()
    make("conv", conv(4), "x")
    make("relu", ReLU(negative_slope=0.2), "conv")
    return make.graph("relu"), ["conv+relu"]


def norm_and_another_reader():
    make = image()
    make("conv", conv(4), "x")
    make("bn", BatchNorm2d(4), "conv")
    make("sub", Subtract(), "bn", "conv")
    return make.graph("sub"), ["conv", "bn", "sub"]


def output_in_the_middle():
    make = image()
    make("conv", conv(4), "x")
    make("bn", BatchNorm2d(4), "conv")
    make("relu", ReLU(), "bn")
    return make.graph("bn", "relu"), ["conv+bn", "relu"]


def output_is_the_convolution():
    make = image()
    make("conv", conv(4), "x")
    make("bn", BatchNorm2d(4), "conv")
    return make.graph("conv", "bn"), ["conv", "bn"]


def sum_with_itself():
    make = image()
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "conv")
    return make.graph("add"), ["conv", "add"]


def sum_of_three():
    make = image()
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "x", "x")
    return make.graph("add"), ["conv", "add"]


def broadcast_residual():
    make = Maker(x=(4, 7, 9), row=(4, 1, 9))
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "row")
    return make.graph("add"), ["conv", "add"]


def residual_larger_than_the_convolution():
    make = Maker(x=(4, 1, 9), full=(4, 7, 9))
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "full")
    return make.graph("add"), ["conv", "add"]


def dropout_in_between():
    make = image()
    make("conv", conv(4), "x")
    make("drop", Dropout(0.5), "conv")
    make("bn", BatchNorm2d(4), "drop")
    make("drop2", Dropout(0.5), "bn")
    make("relu", ReLU(), "drop2")
    return make.graph("relu"), ["conv+drop+bn+drop2+relu"]


def dropout_read_twice():
    make = image()
    make("conv", conv(4), "x")
    make("drop", Dropout(0.5), "conv")
    make("bn", BatchNorm2d(4), "drop")
    make("join", Concatenate(1), "bn", "drop")
    return make.graph("join"), ["conv+drop", "bn", "join"]


def shared_convolution():
    make, shared = image(), filled(conv(4), 5)
    make("a", shared, "x")
    make("bn_a", BatchNorm2d(4), "a")
    make("b", shared, "bn_a")
    make("bn_b", BatchNorm2d(4), "b")
    make("relu", ReLU(), "bn_b")
    make("c", shared, "relu")
    return make.graph("c"), ["a+bn_a", "b+bn_b+relu", "c"]


def shared_norm():
    make, shared = image(), filled(BatchNorm2d(4), 6)
    make("a", conv(4), "x")
    make("bn_a", shared, "a")
    make("b", conv(4), "bn_a")
    make("bn_b", shared, "b")
    return make.graph("bn_b"), ["a+bn_a", "b+bn_b"]


def flattened():
    make = image()
    make("conv", conv(3), "x")
    make("flat", Flatten(), "conv")
    make("dense", Linear(3 * 7 * 9, 5), "flat")
    make("relu", ReLU(), "dense")
    return make.graph("relu"), None


def norm_behind_flatten():
    make = Maker(x=(4, 1, 1))
    make("conv", conv(6, 1), "x")
    make("flat", Flatten(), "conv")
    make("bn", BatchNorm1d(6), "flat")
    return make.graph("bn"), ["conv", "flat", "bn"]


def residual_behind_a_view():
    make = Maker(x=(4, 7, 9), line=(4 * 7 * 9,))
    make("shaped", Reshape((4, 7, 9)), "line")
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "shaped")
    return make.graph("add"), ["shaped", "conv+add"]


def sequences():
    make = Maker(x=(4, 12))
    make("conv", Conv1d(4, 4, 3, padding=((2, 0),)), "x")
    make("bn", BatchNorm1d(4), "conv")
    make("add", Add(), "bn", "x")
    make("relu", ReLU(), "add")
    return make.graph("relu"), ["conv+bn+add+relu"]


def mobile_block():
    make = image()
    make("expand", conv(12, 1), "x")
    make("bn1", BatchNorm2d(12), "expand")
    make("relu1", ReLU(max_value=6), "bn1")
    make("depthwise", Conv2d(12, 12, 3, padding="same", groups=12), "relu1")
    make("bn2", BatchNorm2d(12), "depthwise")
    make("relu2", ReLU(max_value=6), "bn2")
    make("project", Conv2d(12, 4, 1), "relu2")
    make("bn3", BatchNorm2d(4), "project")
    make("add", Add(), "bn3", "x")
    return make.graph("add"), ["expand+bn1+relu1", "depthwise+bn2+relu2", "project+bn3+add"]


def depthwise_residual():
    make = image()
    make("depthwise", conv(4, groups=4), "x")
    make("add", Add(), "depthwise", "x")
    make("relu", ReLU(), "add")
    return make.graph("relu"), None


def depthwise_multiplier_residual():
    make = image()
    make("depthwise", conv(8, groups=4), "x")
    make("bn", BatchNorm2d(8), "depthwise")
    make("other", conv(8, 1), "x")
    make("add", Add(), "bn", "other")
    make("relu", ReLU(), "add")
    return make.graph("relu"), None


def grouped():
    make = image()
    make("conv", conv(6, groups=2), "x")
    make("bn", BatchNorm2d(6), "conv")
    make("relu", ReLU(), "bn")
    return make.graph("relu"), None


def grouped_residual():
    make = image()
    make("conv", conv(4, groups=2), "x")
    make("add", Add(), "conv", "x")
    make("relu", ReLU(max_value=0.5), "add")
    return make.graph("relu"), None


def grouped_sequence():
    make = Maker(x=(4, 12))
    make("conv", Conv1d(4, 6, 3, groups=2), "x")
    make("relu", ReLU(), "conv")
    return make.graph("relu"), None


def transposed():
    make = image()
    make("conv", ConvTranspose2d(4, 3, 3, 2), "x")
    make("bn", BatchNorm2d(3), "conv")
    make("relu", ReLU(), "bn")
    return make.graph("relu"), None


CASES = [
    scaled_branch, numbers_behind_a_convolution, a_number_that_does_not_scale, affine_of_channels, affine_of_pixels,
    plain_chain, no_bias, two_norms, residual_of_input, residual_first, winograd_sized_residual, strided_residual,
    residual_computed_later, norm_after_sum, norm_after_relu, sum_after_relu, two_sums, two_relus, relu6, relu_to_zero,
    relu_with_slope, norm_and_another_reader, output_in_the_middle, output_is_the_convolution,
    sum_with_itself, sum_of_three, broadcast_residual, residual_larger_than_the_convolution, dropout_in_between,
    dropout_read_twice, shared_convolution, shared_norm, flattened, norm_behind_flatten, residual_behind_a_view,
    sequences, mobile_block, depthwise_residual, depthwise_multiplier_residual, grouped, grouped_residual,
    grouped_sequence, transposed,
]  # fmt: skip
# A case without units leaves open what is fused (another kernel may come), but not what is answered.
COUNTED = [case for case in CASES if case()[1] is not None]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.__name__)
def test_the_answer_stays_the_same(case):
    graph, _ = case()
    assert_plan_agrees(graph)


@pytest.mark.parametrize("case", COUNTED, ids=lambda case: case.__name__)
def test_units_are_these(case):
    graph, wanted = case()
    assert units(graph) == wanted


def test_every_node_is_in_one_unit():
    for case in CASES:
        graph, _ = case()
        names = [node.name for unit in Program(graph).units for node in unit.nodes]
        assert sorted(names) == sorted(node.name for node in graph.nodes), case.__name__


def test_a_step_of_relu_at_its_threshold_is_taken_in():
    make = image()
    make("conv", conv(4), "x")
    make("relu", ReLU(threshold=0.25), "conv")
    graph = make.graph("relu")
    assert units(graph) == ["conv+relu"]
    (found,) = Program(graph).run([random(1, 2, 4, 7, 9)])
    assert found[found > 0].min() > 0.25
    assert 0.1 < np.mean(found == 0) < 0.9


@pytest.mark.parametrize("other", [(1, 1), (5, 1), (1, 9)], ids=str)
def test_free_sizes_that_differ_at_the_call_never_make_a_kernel_read_past_the_residual(other):
    """Both inputs have free sizes: only a call shows that the sum broadcasts, which a fused sum cannot do."""
    make = Maker(x=(4, None, None), other=(4, None, None))
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "other")
    graph = make.graph("add")
    arrays = [random(1, 2, 4, 5, 9), random(2, 2, 4, *other)]
    try:
        (wanted,) = graph.forward(arrays)
    except ShapeError:
        with pytest.raises(ShapeError):
            Program(graph).run(arrays)
    else:
        (found,) = Program(graph).run(arrays)
        np.testing.assert_allclose(found, wanted, atol=1e-5)


def test_free_sizes_that_agree_are_computed():
    make = Maker(x=(4, None, None), other=(4, None, None))
    make("conv", conv(4), "x")
    make("add", Add(), "conv", "other")
    assert_plan_agrees(make.graph("add"))


def test_folding_a_norm_leaves_the_modules_alone():
    graph, _ = plain_chain()
    arrays, module = arrays_for(graph), graph.nodes[0].module
    before = {name: tensor.copy() for name, tensor in module.tensors().items()}
    Program(graph).run(arrays)
    assert graph.nodes[0].module is module
    for name, tensor in module.tensors().items():
        np.testing.assert_array_equal(tensor, before[name])


@pytest.mark.parametrize(("variance", "eps"), [(0.0, 0.0), (-1.0, 1e-3)], ids=str)
def test_a_norm_that_would_make_the_weights_infinite_is_not_folded(variance, eps):
    """Infinite weights, summed, give NaN where the convolution's own result, scaled, is infinite."""
    make = image()
    make("conv", conv(), "x")
    make("bn", BatchNorm2d(6, eps), "conv")
    graph = make.graph("bn")
    norm = graph.nodes[1].module.with_tensors({"running_var": np.full(6, variance, np.float32)})
    graph = graph.with_modules({"bn": norm})
    arrays = arrays_for(graph)
    with np.errstate(all="ignore"):
        np.testing.assert_array_equal(Program(graph).run(arrays)[0], graph.forward(arrays)[0])
    assert units(graph) == ["conv", "bn"]
