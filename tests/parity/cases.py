"""Cases of one layer with swept options; every family's file adds its own."""

from __future__ import annotations

from tests.parity.kerases import Case

FORMATS = ("channels_last", "channels_first")
LEAKY = {"keras3": {"negative_slope": 0.1}, "keras2": {"alpha": 0.1}}
IMAGE, SEQUENCE = (7, 9, 10), (11, 4)
RANKED = {2: (5,), 3: (6, 5), 4: (4, 3, 5)}
COVERED: set[str] = set()  # Keras classes that have cases in the files imported so far
FUSED: set[str] = set()  # those of them with a case of an activation


def leaky(library):
    """Give an activation that is a layer."""
    return library.layers.LeakyReLU(**LEAKY["keras2" if library.__name__ == "tf_keras" else "keras3"])


def layer(library, class_name, options):
    """Make a layer; options that are functions are called with the Keras."""
    made = {key: value(library) if callable(value) else value for key, value in options.items()}
    return getattr(library.layers, class_name)(**made)


def one(cases, what, class_name, *shapes, kerases=("keras3", "keras2"), case=None, **options):
    """Add the case of one layer on one input, or on a list of them; ``case`` has further arguments of the Case."""
    COVERED.add(class_name)
    if "activation" in options:
        FUSED.add(class_name)

    def build(library, *inputs):
        return layer(library, class_name, options)(list(inputs) if len(inputs) > 1 else inputs[0])

    cases.append(Case(f"{class_name}-{what}", shapes, build, kerases, **(case or {})))


def both_formats(cases, what, class_name, shape, **options):
    """Add a case a data format; ``shape`` has the channels last."""
    one(cases, f"{what}-last", class_name, shape, **options)
    one(cases, f"{what}-first", class_name, (shape[-1], *shape[:-1]), data_format="channels_first", **options)
