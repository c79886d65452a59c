"""Images in another size."""

from keydnn.modules import CenterCrop, Resize
from keydnn.modules.sampling import MODES
from tests.export.case import Case, numbers

X, LAST = numbers(2, 3, 5, 8), numbers(2, 5, 8, 3)

CASES = (
    {f"{mode}, larger": Case(Resize((9, 13), mode), (X,)) for mode in MODES}
    | {f"{mode}, smaller": Case(Resize((3, 5), mode), (X,)) for mode in MODES}
    | {f"{mode}, antialias": Case(Resize((2, 11), mode, antialias=True), (X,)) for mode in MODES}
    | {f"{mode}, channels last": Case(Resize((7, 4), mode, dims=(1, 2)), (LAST,)) for mode in ("nearest", "bilinear")}
    | {f"{fit}": Case(Resize((4, 4), fit=fit), (X,)) for fit in ("crop", "pad")}
    | {
        "crop, wide": Case(Resize((3, 9), "nearest", fit="crop"), (X,)),
        "pad, wide, value": Case(Resize((3, 9), "bicubic", fit="pad", fill=-1.5), (X,)),
        "pad, one cell more": Case(Resize((6, 8), fit="pad", dims=(1, 2)), (LAST,)),
        "the same size": Case(Resize((5, 8)), (X,)),
        "one cell": Case(Resize(1, "bilinear"), (X,)),
        "from one cell": Case(Resize((2, 3), "bilinear"), (X[:, :, :1, :1],)),
        "middle": Case(CenterCrop((3, 4)), (X,)),
        "middle, odd rest": Case(CenterCrop((2, 5), dims=(1, 2)), (LAST,)),
        "middle of a smaller image": Case(CenterCrop((7, 6)), (X,)),
        "middle of a smaller image, channels last": Case(CenterCrop((4, 10), dims=(1, 2)), (LAST,)),
    }
)
