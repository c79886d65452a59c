"""Less a mean, divided by a standard deviation."""

from keydnn.modules import Standardize
from tests.export.case import Case, filled, numbers

CASES = {
    "each cell": Case(filled(Standardize((3, 4))), (numbers(2, 3, 4),)),
    "each channel": Case(filled(Standardize((3, 1, 1))), (numbers(2, 3, 4, 5),)),
    "one for all": Case(filled(Standardize((1,))), (numbers(2, 5),)),
}
