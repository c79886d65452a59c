"""Linear."""

from keydnn.modules import Linear
from tests.export.case import Case, filled, numbers

CASES = {
    "rank 2": Case(filled(Linear(5, 3)), (numbers(4, 5),)),
    "rank 3": Case(filled(Linear(5, 3)), (numbers(2, 7, 5),)),
    "rank 4": Case(filled(Linear(5, 3)), (numbers(2, 3, 4, 5),)),
    "without bias": Case(filled(Linear(5, 3, use_bias=False)), (numbers(4, 5),)),
}
