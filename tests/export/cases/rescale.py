"""Products and sums with constants."""

from keydnn.modules import Affine, Rescale
from tests.export.case import Case, filled, numbers

CASES = {
    "rescale": Case(Rescale(1 / 127.5, -1.0), (numbers(2, 3, 4) * 100,)),
    "rescale without offset": Case(Rescale(1 / 255), (numbers(2, 3, 4) * 100,)),
    "affine": Case(filled(Affine((3, 4))), (numbers(2, 3, 4),)),
    "affine, a channel each": Case(filled(Affine((3, 1, 1))), (numbers(2, 3, 4, 5),)),
}
