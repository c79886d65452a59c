"""Upsampling by integer factors."""

from keydnn.modules import Upsample1d, Upsample2d, Upsample3d
from tests.export.case import Case, numbers

IMAGE = numbers(2, 3, 4, 5)
MODES = ("nearest", "area", "bilinear", "bicubic", "mitchellcubic", "lanczos3", "lanczos5", "gaussian")

CASES = {
    "1d": Case(Upsample1d(3), (numbers(2, 3, 5),)),
    "3d": Case(Upsample3d((1, 2, 3)), (numbers(2, 3, 2, 3, 4),)),
} | {f"2d {mode}": Case(Upsample2d((2, 3), mode=mode), (IMAGE,)) for mode in MODES}
