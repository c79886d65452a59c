"""Numbers of the model itself; as a graph has inputs, there is one that nothing reads."""

from keydnn.modules import Constant
from tests.export.case import Case, filled, numbers

CASES = {
    "one number": Case(filled(Constant(())), (numbers(2, 3),)),
    "an example": Case(filled(Constant((3, 4))), (numbers(2, 3),)),
}
