"""The attention kernels beside memory that is not theirs; what they compute is tested with the modules."""

from __future__ import annotations

import sys

import pytest

from tests.plan.apart import run_apart


@pytest.mark.skipif(sys.platform != "linux", reason="pages of no access are asked for as Linux has them")
def test_nothing_beyond_the_arrays_is_touched():
    assert run_apart("guarded_attention", package="tests.kernels") == [6 * 2 * 2 * 4]
