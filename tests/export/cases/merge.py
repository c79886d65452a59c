"""Several inputs made one."""

from keydnn.modules import MODULE_TYPES, Concatenate
from tests.export.case import Case, numbers

TWO = (numbers(2, 3, 4), numbers(2, 3, 4, seed=1))
THREE = (*TWO, numbers(2, 3, 4, seed=2))
SOME = ("Add", "Multiply", "Average", "Maximum", "Minimum")

CASES = (
    {f"{name}": Case(MODULE_TYPES[name](), TWO) for name in (*SOME, "Subtract")}
    | {f"{name} of three": Case(MODULE_TYPES[name](), THREE) for name in SOME}
    | {
        f"{name}, broadcast": Case(MODULE_TYPES[name](), (numbers(2, 3, 1), numbers(2, 1, 4, seed=1)))
        for name in (*SOME, "Subtract")
    }
    | {
        "Concatenate": Case(Concatenate(-1), (numbers(2, 3, 4), numbers(2, 3, 2))),
        "Concatenate, channels, three": Case(Concatenate(1), (*TWO, numbers(2, 1, 4))),
    }
)
