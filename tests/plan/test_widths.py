"""The other widths of vectors: a few graphs on kernels compiled for AVX2 and for SSE, in processes of their own.

All tests of kernels and plans pass with each of them; run them after changes of the kernels::

    NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx,+avx2,+fma,+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2 \
        pytest tests/plan tests/kernels
    NUMBA_CPU_NAME=nehalem NUMBA_CPU_FEATURES=+sse,+sse2,+sse3,+ssse3,+sse4.1,+sse4.2 pytest tests/plan tests/kernels
"""

from __future__ import annotations

import llvmlite.binding as llvm
import pytest

from tests.plan.apart import run_apart

SSE = ["sse", "sse2", "sse3", "ssse3", "sse4.1", "sse4.2"]
WIDTHS = {
    "avx2": ("haswell", [*SSE, "avx", "avx2", "fma"], (8, 16)),
    "sse": ("nehalem", SSE, (4, 16)),
}


@pytest.mark.parametrize("width", WIDTHS)
def test_narrower_vectors_give_results_within_the_bounds(width):
    name, features, (lanes, registers) = WIDTHS[width]
    present = llvm.get_host_cpu_features()
    if not all(present.get(feature) for feature in features):
        pytest.skip(f"this CPU has no {width}")
    told = {"NUMBA_CPU_NAME": name, "NUMBA_CPU_FEATURES": ",".join(f"+{feature}" for feature in features)}
    first, *cases = run_apart("widths", **told)
    assert (first["lanes"], first["registers"]) == (lanes, registers)
    found = {label for case in cases for label in case["labels"]}
    assert {"direct convolution", "depthwise convolution", "Winograd convolution", "dense", "recurrent"} <= found
