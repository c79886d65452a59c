"""Convolutions and pools with any parameters, and inputs that they take: for Hypothesis."""

from __future__ import annotations

import hypothesis.strategies as st

from keydnn.modules import MODULE_TYPES


@st.composite
def convolutions(draw):
    axes, groups = draw(st.integers(1, 3)), draw(st.sampled_from([1, 2, 4]))
    options = {
        "in_channels": 4,
        "out_channels": 4 * draw(st.integers(1, 2)),
        "kernel_size": tuple(draw(st.integers(1, 4)) for _ in range(axes)),
        "stride": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "dilation": tuple(draw(st.integers(1, 3)) for _ in range(axes)),
        "groups": groups,
        "use_bias": draw(st.booleans()),
    }
    pads = tuple((draw(st.integers(0, 3)), draw(st.integers(0, 3))) for _ in range(axes))
    if draw(st.booleans()):
        options["output_padding"] = tuple(draw(st.integers(0, 4)) for _ in range(axes))
        module = MODULE_TYPES[f"ConvTranspose{axes}d"](**options, padding=pads)
    else:
        module = MODULE_TYPES[f"Conv{axes}d"](**options, padding=draw(st.sampled_from(["same", pads])))
    reach = [d * (k - 1) + 1 for d, k in zip(module.dilation, module.kernel_size, strict=True)]
    return module, (draw(st.integers(1, 2)), 4, *(least + draw(st.integers(0, 4)) for least in reach))


@st.composite
def pools(draw):
    axes, kind = draw(st.integers(1, 3)), draw(st.sampled_from(["Max", "Avg"]))
    kernel = tuple(draw(st.integers(1, 4)) for _ in range(axes))
    pads = tuple((draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))) for size in kernel)
    options = {"count_include_pad": draw(st.booleans())} if kind == "Avg" else {}
    stride = tuple(draw(st.integers(1, 4)) for _ in range(axes))
    padding = draw(st.sampled_from(["same", pads]))
    module = MODULE_TYPES[f"{kind}Pool{axes}d"](kernel, stride, padding, **options)
    return module, (draw(st.integers(1, 2)), 3, *(size + draw(st.integers(0, 5)) for size in kernel))
