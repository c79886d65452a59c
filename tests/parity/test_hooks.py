"""Custom layers made and saved by the real Kerases, and read by functions as a user writes them."""

from __future__ import annotations

import pytest

from keydnn import KerasInteropError, from_keras
from keydnn.convert import reads
from keydnn.convert.build import hooks
from keydnn.modules import Add, Linear, Multiply, Sigmoid
from tests.parity.kerases import KERASES, SOURCES, Case, assert_agrees, built, tensorflow

pytestmark = pytest.mark.parity


@pytest.fixture(autouse=True)
def registry(monkeypatch):
    """Begin without readers, and leave none."""
    monkeypatch.setattr(hooks, "HOOKS", {})


def gate_class(library, name):
    """Give the class ``x * sigmoid(x @ kernel) + offset`` with a weight that only training reads."""

    class Gate(library.layers.Layer):
        def __init__(self, unused=3, **options):
            super().__init__(**options)
            self.unused = unused

        def build(self, shape):
            self.kernel = self.add_weight(shape=(shape[-1], shape[-1]), name="kernel")
            self.offset = self.add_weight(shape=(shape[-1],), name="offset")
            self.steps = self.add_weight(shape=(), name="steps", trainable=False)
            super().build(shape)

        def call(self, x):
            return x * tensorflow.sigmoid(x @ self.kernel) + self.offset

        def get_config(self):
            return {**super().get_config(), "unused": self.unused}

    Gate.__name__ = Gate.__qualname__ = name
    return Gate


CLASSES = {
    registered: {
        name: library.utils.register_keras_serializable(package="mine")(gate_class(library, "Gate"))
        if registered
        else gate_class(library, "Loose")
        for name, library in KERASES.items()
    }
    for registered in (True, False)
}


def read_gate(layer):
    (x,) = layer.inputs
    size = layer.input_shapes[0][-1]
    kernel, offset = layer.weights(kernel=(size, size), offset=(size,))
    layer.ignore_weights("steps")
    assert layer.config["unused"] == 3
    scores = layer.emit(Linear(size, size, use_bias=False, weight=kernel.T), x, part="scores")
    gated = layer.emit(Multiply(), x, layer.emit(Sigmoid(), scores, part="gate"), part="gated")
    return layer.emit(
        Linear(size, size, weight=[[float(i == j) for i in range(size)] for j in range(size)], bias=offset), gated
    )


def of(registered):
    def build(library, x):
        made = CLASSES[registered]["keras3" if library is KERASES["keras3"] else "keras2"]
        shared = made(name="gate")
        inner = library.Sequential([library.Input((4,)), made(name="inside")], name="inner")
        return library.layers.Dense(2)(inner(shared(shared(x))))

    return Case(f"custom-{'registered' if registered else 'loose'}", ((4,),), build)


@pytest.mark.parametrize("source", SOURCES)
@pytest.mark.parametrize("name", KERASES)
@pytest.mark.parametrize(("registered", "read"), [(True, "mine>Gate"), (True, "Gate"), (False, "Loose")])
def test_a_custom_layer_is_read_by_its_function(registered, read, name, source):
    case = of(registered)
    sources, inputs, wanted = built(case, name)
    with pytest.raises(KerasInteropError, match=r"Unsupported Keras layer: .*(Gate|Loose)"):
        from_keras(sources[source])
    reads(read)(read_gate)
    model = from_keras(sources[source])
    assert_agrees(model, inputs, wanted, case.relative)
    assert {rewrite["layer"] for rewrite in model.source["rewrites"]} >= {"gate", "inner/inside"}


@pytest.mark.parametrize("name", KERASES)
def test_two_inputs(name):
    library = KERASES[name]

    class Sum(library.layers.Layer):
        def call(self, pair):
            return pair[0] + pair[1]

    case = Case(
        f"sum-{name}", ((4,), (4,)), lambda library, x, y: Sum(name="s")([x, y]), kerases=(name,), sources=("h5",)
    )
    sources, inputs, wanted = built(case, name)
    reads("Sum")(lambda layer: layer.emit(Add(), *layer.inputs))
    assert_agrees(from_keras(sources["h5"]), inputs, wanted, case.relative)
