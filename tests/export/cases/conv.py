"""Convolutions and transposed ones."""

from keydnn.modules import Conv1d, Conv2d, Conv3d, ConvTranspose1d, ConvTranspose2d, ConvTranspose3d
from tests.export.case import Case, filled, numbers

IMAGE, SEQUENCE, VOLUME = numbers(2, 4, 7, 8), numbers(2, 4, 9), numbers(2, 4, 5, 6, 4)

CASES = {
    "1d": Case(filled(Conv1d(4, 3, 3)), (SEQUENCE,)),
    "1d same, stride, dilation": Case(filled(Conv1d(4, 6, 3, 1, "same", 2, 2)), (SEQUENCE,)),
    "1d causal": Case(filled(Conv1d(4, 3, 3, 1, ((4, 0),), 2)), (SEQUENCE,)),
    "2d": Case(filled(Conv2d(4, 3, 3)), (IMAGE,)),
    "2d without bias": Case(filled(Conv2d(4, 3, (2, 3), use_bias=False)), (IMAGE,)),
    "2d same": Case(filled(Conv2d(4, 3, 3, 1, "same")), (IMAGE,)),
    "2d same, stride": Case(filled(Conv2d(4, 3, 3, 2, "same")), (IMAGE,)),
    "2d same, even kernel": Case(filled(Conv2d(4, 3, (2, 4), (1, 3), "same")), (IMAGE,)),
    "2d same, stride beyond the kernel": Case(filled(Conv2d(4, 3, 1, 3, "same")), (IMAGE,)),
    "2d same, dilation": Case(filled(Conv2d(4, 3, 3, 1, "same", (2, 3))), (IMAGE,)),
    "2d same, all pixels": Case(filled(Conv2d(4, 3, (7, 8), (7, 8), "same")), (IMAGE,)),
    "2d asymmetric padding": Case(filled(Conv2d(4, 3, 3, (2, 1), ((0, 1), (2, 3)))), (IMAGE,)),
    "2d padding beyond the kernel": Case(filled(Conv2d(4, 3, 2, 1, (3, 4))), (IMAGE,)),
    "2d groups": Case(filled(Conv2d(4, 6, 3, 1, 1, 1, 2)), (IMAGE,)),
    "2d depthwise": Case(filled(Conv2d(4, 4, 3, 2, "same", 1, 4)), (IMAGE,)),
    "2d depth multiplier": Case(filled(Conv2d(4, 8, 3, 1, "same", 1, 4, use_bias=False)), (IMAGE,)),
    "2d pointwise": Case(filled(Conv2d(4, 5, 1)), (IMAGE,)),
    "3d": Case(filled(Conv3d(4, 3, (2, 3, 3), (1, 2, 1), "same")), (VOLUME,)),
    "3d groups, dilation": Case(filled(Conv3d(4, 2, 2, 1, ((0, 1), (1, 0), (1, 1)), (2, 1, 1), 2)), (VOLUME,)),
    "transposed 1d": Case(filled(ConvTranspose1d(4, 3, 3, 2)), (SEQUENCE,)),
    "transposed 1d, asymmetric crops": Case(filled(ConvTranspose1d(4, 3, 4, 3, ((0, 1),))), (SEQUENCE,)),
    "transposed 2d": Case(filled(ConvTranspose2d(4, 3, 3, 2)), (IMAGE,)),
    "transposed 2d, crops": Case(filled(ConvTranspose2d(4, 3, (3, 4), 2, ((1, 0), (1, 2)))), (IMAGE,)),
    "transposed 2d, output padding": Case(filled(ConvTranspose2d(4, 3, 3, 3, 1, (1, 2))), (IMAGE,)),
    "transposed 2d, asymmetric crops and output padding": Case(
        filled(ConvTranspose2d(4, 3, 3, 2, ((0, 1), (1, 0)), 1)), (IMAGE,)
    ),
    "transposed 2d, stride beyond the kernel": Case(filled(ConvTranspose2d(4, 3, 1, 2, 0, 1)), (IMAGE,)),
    "transposed 2d, output padding beyond the stride": Case(filled(ConvTranspose2d(4, 3, 2, 1, 0, (2, 3))), (IMAGE,)),
    "transposed 2d, dilation": Case(filled(ConvTranspose2d(4, 3, 2, 1, ((1, 1), (0, 2)), 0, (2, 3))), (IMAGE,)),
    "transposed 2d, groups": Case(filled(ConvTranspose2d(4, 6, 3, 2, 1, 1, 1, 2, use_bias=False)), (IMAGE,)),
    "transposed 2d, depthwise": Case(filled(ConvTranspose2d(4, 4, 3, 2, 0, 0, 1, 4)), (IMAGE,)),
    "transposed 3d": Case(filled(ConvTranspose3d(4, 3, 2, (1, 2, 3), ((0, 1), (0, 0), (1, 0)), (0, 1, 0))), (VOLUME,)),
}
