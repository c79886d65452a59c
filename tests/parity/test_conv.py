"""Convolutions over one and three axes in both Kerases and from every source; those of images are in test_layers.py."""

from __future__ import annotations

from functools import partial

import pytest

from tests.parity import cases
from tests.parity.cases import SEQUENCE, leaky
from tests.parity.kerases import Case, check, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
one, both_formats = partial(cases.one, CASES), partial(cases.both_formats, CASES)
VOLUME = (4, 5, 6, 3)
# No output is as long as it has channels: Keras 3.15 would add a channels_first bias along the wrong axis.

for what, options in {
    "valid": {"kernel_size": (2, 3, 1)},
    "same": {"kernel_size": (2, 3, 4), "padding": "same"},
    "valid-strides": {"kernel_size": 2, "strides": (1, 2, 3)},
    "same-strides": {"kernel_size": 3, "strides": 2, "padding": "same"},
    "stride-above-kernel": {"kernel_size": 1, "strides": 2, "padding": "same"},
    "dilated": {"kernel_size": 2, "dilation_rate": 2},
    "same-dilated": {"kernel_size": 2, "dilation_rate": 2, "padding": "same"},
    "no-bias": {"kernel_size": 2, "use_bias": False},
}.items():
    both_formats(what, "Conv3D", VOLUME, filters=8, **options)
both_formats("groups", "Conv3D", (4, 5, 6, 4), filters=8, kernel_size=2, groups=2)
one("free-sizes", "Conv3D", (None, None, None, 3), filters=8, kernel_size=2, strides=2, padding="same")

for padding in ("valid", "same"):
    for size, stride in ((1, 1), (2, 1), (3, 2), (4, 2), (2, 3), (5, 3)):
        what = f"{padding}-kernel-{size}-stride-{stride}"
        both_formats(what, "Conv1DTranspose", (5, 3), filters=4, kernel_size=size, strides=stride, padding=padding)
    for size, stride in ((1, 2), (3, 2), (4, (1, 2, 3))):
        what = f"{padding}-kernel-{size}-stride-{stride}"
        one(what, "Conv3DTranspose", (3, 2, 4, 3), filters=5, kernel_size=size, strides=stride, padding=padding)
    both_formats(
        f"{padding}-output-padding", "Conv1DTranspose", (5, 3),
        filters=4, kernel_size=3, strides=3, padding=padding, output_padding=2,
    )  # fmt: skip
    one(
        f"{padding}-output-padding", "Conv3DTranspose", (3, 2, 4, 3),
        filters=5, kernel_size=3, strides=(2, 2, 3), padding=padding, output_padding=(1, 0, 2),
    )  # fmt: skip
    both_formats(
        f"{padding}-dilated", "Conv1DTranspose", (5, 3), filters=4, kernel_size=3, dilation_rate=2, padding=padding
    )
    one(
        f"{padding}-dilated", "Conv3DTranspose", (3, 2, 4, 3),
        filters=5, kernel_size=2, dilation_rate=(2, 1, 3), padding=padding, kerases=("keras3",),
    )  # fmt: skip
both_formats("no-bias", "Conv1DTranspose", (5, 3), filters=4, kernel_size=3, use_bias=False)
both_formats("no-bias", "Conv3DTranspose", (3, 2, 4, 3), filters=5, kernel_size=2, use_bias=False)

for padding in ("valid", "same"):
    for what, options in {
        "kernel-3": {"kernel_size": 3},
        "kernel-4-stride-2": {"kernel_size": 4, "strides": 2},
        "stride-above-kernel": {"kernel_size": 2, "strides": 3},
        "dilated": {"kernel_size": 3, "dilation_rate": 2},
        "multiplier-3": {"kernel_size": 3, "depth_multiplier": 3},
        "no-bias": {"kernel_size": 2, "use_bias": False},
    }.items():
        both_formats(f"{padding}-{what}", "DepthwiseConv1D", (11, 5), padding=padding, **options)
        both_formats(f"{padding}-{what}", "SeparableConv1D", SEQUENCE, filters=5, padding=padding, **options)
for what, options in {"kernel-3": {}, "dilated": {"dilation_rate": 2}, "stride-2": {"strides": 2}}.items():
    both_formats(
        f"causal-{what}", "SeparableConv1D", SEQUENCE,
        filters=5, kernel_size=3, padding="causal", kerases=("keras2",), **options,
    )  # fmt: skip
one("free-length", "SeparableConv1D", (None, 4), filters=5, kernel_size=3, padding="same")

for class_name, shape in {"Conv1D": SEQUENCE, "Conv2D": (5, 6, 3), "Conv3D": VOLUME}.items():
    lora = {"filters": 8, "kernel_size": 2, "lora_rank": 3}
    both_formats("lora", class_name, shape, kerases=("keras3",), **lora)
    both_formats("lora-alpha", class_name, shape, kerases=("keras3",), lora_alpha=5, use_bias=False, **lora)
both_formats("lora-groups", "Conv2D", (5, 6, 4), kerases=("keras3",), filters=8, kernel_size=2, groups=2, lora_rank=2)

for class_name, (shape, options) in {
    "Conv3D": (VOLUME, {"filters": 8, "kernel_size": 2}),
    "Conv1DTranspose": ((5, 3), {"filters": 4, "kernel_size": 3, "strides": 2}),
    "Conv3DTranspose": ((3, 2, 4, 3), {"filters": 6, "kernel_size": 2}),
    "DepthwiseConv1D": (SEQUENCE, {"kernel_size": 3}),
    "SeparableConv1D": (SEQUENCE, {"filters": 5, "kernel_size": 3}),
}.items():
    for what, activation in {"relu": "relu", "softmax": "softmax", "object": leaky}.items():
        both_formats(f"fused-{what}", class_name, shape, activation=activation, **options)

SPECTROGRAM = {"frame_length": 16, "kerases": ("keras3",)}
for mode in ("log", "magnitude", "psd", "real", "imag", "angle", "stft"):
    both_formats(mode, "STFTSpectrogram", (61, 2), mode=mode, **SPECTROGRAM)
    both_formats(f"{mode}-expanded", "STFTSpectrogram", (61, 2), mode=mode, expand_dims=True, **SPECTROGRAM)
both_formats("same", "STFTSpectrogram", (61, 1), padding="same", frame_step=5, fft_length=32, **SPECTROGRAM)
both_formats("free", "STFTSpectrogram", (None, 2), mode="psd", frame_length=4, window="hamming", kerases=("keras3",))


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_convolution_agrees(case, name, source):
    check(case, name, source)
