"""Each algorithm of a plan: that it is taken, that it is right, and that any number of threads gives the same bits."""

from __future__ import annotations

import sys

import pytest

from jit_kernels._simd import LANES
from keydnn.modules import Add, BatchNorm2d, Conv2d, ConvTranspose2d, Linear, ReLU, SiLU
from tests.plan.algorithms import CASES, Seeded, arrays_of, graph_of, labels, settings_of
from tests.plan.apart import run_apart
from tests.plan.bounds import winograd_in_reference
from tests.plan.choices import few_tiles, winograd
from tests.plan.graphs import assert_plan_agrees

RELATIVE = 0.01


@pytest.mark.parametrize("batch", [1, 4])
@pytest.mark.parametrize("name", CASES)
def test_an_algorithm_is_taken_and_is_right(name, batch):
    graph = graph_of(name)
    arrays = arrays_of(graph, batch)
    with few_tiles(), settings_of(name), winograd_in_reference():
        program = assert_plan_agrees(graph, arrays, RELATIVE)
        assert CASES[name][1] in ["", *labels(program.bind([array.shape for array in arrays]))]


def test_any_number_of_threads_gives_the_same_bits():
    """1, 2, 4 and 8, which most machines that run this do not have as cores."""
    found = run_apart("threads", NUMBA_NUM_THREADS="8")
    assert [case["name"] for case in found] == list(CASES)
    assert [case["name"] for case in found if not case["same"]] == []
    kernels = {kernel for case in found for kernel in case["kernels"]}
    names = ["conv", "depthwise", "winograd_tiles", "winograd_numbers", "mean_pool", "blocked_add", "blocked_norm"]
    for name in [f"{name}_f32" for name in names] + [f"recurrence_f32_{cell}" for cell in ("lstm", "gru", "simple")]:
        assert any(kernel.startswith(name) for kernel in kernels), f"no {name} among {sorted(kernels)}"


@pytest.mark.skipif(sys.platform != "linux", reason="pages of no access are asked for as Linux has them")
def test_nothing_beyond_the_memory_of_a_plan_is_touched():
    assert run_apart("guarded")


MODULES = {
    "direct": (Conv2d(LANES + 3, 2 * LANES, 3, padding="same"), False),
    "winograd": (Conv2d(LANES + 3, 2 * LANES, 3, padding="same"), True),
    "pixels": (Conv2d(LANES // 2 - 1, LANES + 3, 3, padding="same"), False),
    "depthwise": (Conv2d(2 * LANES, 2 * LANES, 3, padding="same", groups=2 * LANES), False),
    "grouped": (Conv2d(2 * LANES, 2 * LANES, 3, padding="same", groups=2), False),
    "diagonal": (Conv2d(2 * LANES, 2 * LANES, 3, padding="same", groups=LANES), False),
    "transposed": (ConvTranspose2d(LANES + 3, 2 * LANES, 3, 2), False),
    "dense": (Linear(LANES + 3, 2 * LANES + 1), False),
}
FOLLOWING = {
    "relu": [ReLU()],
    "clamp": [ReLU(max_value=0.3)],
    "silu": [SiLU()],
    "norm": [BatchNorm2d],
    "norm-silu": [BatchNorm2d, SiLU()],
    "add": [Add()],
    "norm-add-silu": [BatchNorm2d, Add(), SiLU()],
    "add-clamp": [Add(), ReLU(max_value=0.7)],
    "silu-add": [SiLU(), Add()],
    "relu-silu": [ReLU(), SiLU()],
}


@pytest.mark.parametrize("behind", FOLLOWING)
@pytest.mark.parametrize("name", MODULES)
def test_what_follows_is_done_too(name, behind):
    """Norms, sums and activations behind a convolution, whichever of them it takes in."""
    module, is_winograd = MODULES[name]
    size = (module.in_features,) if isinstance(module, Linear) else (module.in_channels, 6, 7)
    channels = module.out_features if isinstance(module, Linear) else module.out_channels
    make = Seeded(x=size, other=module.output_shape((None, *size))[1:])
    last = make("y", module, "x")
    for place, following in enumerate(FOLLOWING[behind]):
        if following is BatchNorm2d:
            if isinstance(module, Linear):
                continue
            following = BatchNorm2d(channels)
        inputs = (last, "other") if isinstance(following, Add) else (last,)
        last = make(f"then{place}", following, *inputs)
    graph = make.graph(last)
    with few_tiles(), winograd(is_winograd), winograd_in_reference():
        assert_plan_agrees(graph, arrays_of(graph, 2), RELATIVE)
