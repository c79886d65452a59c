"""TimeDistributed, Bidirectional and RNN with cells, in both Kerases and from every source."""

from __future__ import annotations

import pytest

from tests.parity.cases import COVERED
from tests.parity.kerases import Case, adding_to, check, keras, parameters

pytestmark = pytest.mark.parity

CASES: list[Case] = []
case = adding_to(CASES)
COVERED.update(("TimeDistributed", "Bidirectional", "RNN"))

STEPS = (5, 3)
VIDEO = (3, 6, 7, 2)
UNITS = 4


# --- TimeDistributed --------------------------------------------------------------------------------------------------


@case(STEPS)
def steps_through_dense(library, x):
    return library.layers.TimeDistributed(library.layers.Dense(4, activation="relu"))(x)


@case((None, 3))
def steps_of_any_number_through_softmax(library, x):
    return library.layers.TimeDistributed(library.layers.Dense(4, activation="softmax"))(x)


@case(VIDEO)
def a_convolution_of_every_frame(library, x):
    layers = library.layers
    y = layers.TimeDistributed(layers.Conv2D(4, 3, activation="relu"))(x)
    y = layers.TimeDistributed(layers.BatchNormalization())(y)
    y = layers.TimeDistributed(layers.MaxPooling2D(2))(y)
    y = layers.TimeDistributed(layers.Flatten())(y)
    return layers.TimeDistributed(layers.Dropout(0.3))(y)


@case((None, 6, 7, 2))
def frames_of_any_number(library, x):
    layers = library.layers
    y = layers.TimeDistributed(layers.Conv2D(4, 3, padding="same"))(x)
    return [layers.TimeDistributed(layers.GlobalAveragePooling2D())(y), y]


@case(VIDEO)
def a_model_for_every_frame(library, x):
    layers = library.layers
    frame = library.Sequential(
        [library.Input(VIDEO[1:]), layers.Conv2D(3, 3, activation="relu"), layers.Flatten(), layers.Dense(4)]
    )
    return layers.TimeDistributed(frame)(x)


@case(VIDEO, VIDEO)
def a_shared_model_for_the_frames_of_two_videos(library, x, y):
    layers = library.layers
    image = library.Input(VIDEO[1:])
    made = layers.GlobalMaxPooling2D()(layers.Conv2D(3, 3, activation="relu")(image))
    steps = layers.TimeDistributed(library.Model(image, layers.Dense(4)(made)))
    return layers.Subtract()([steps(x), steps(y)])


@case((2, *STEPS))
def steps_of_steps(library, x):
    layers = library.layers
    inner = layers.TimeDistributed(layers.LayerNormalization())
    return layers.TimeDistributed(inner)(x)


@case((2, *STEPS))
def a_recurrent_layer_for_every_step(library, x):
    layers = library.layers
    y = layers.TimeDistributed(layers.LSTM(UNITS, return_sequences=True))(x)
    return layers.TimeDistributed(layers.GRU(UNITS))(y)


@case((2, *STEPS))
def both_ways_for_every_step(library, x):
    layers = library.layers
    return layers.TimeDistributed(layers.Bidirectional(layers.GRU(UNITS)))(x)


@case((2, *STEPS))
def a_model_with_wrappers_for_every_step(library, x):
    layers = library.layers
    sentence = library.Input(STEPS)
    y = layers.TimeDistributed(layers.Dense(3))(sentence)
    model = library.Model(sentence, layers.Bidirectional(layers.SimpleRNN(UNITS))(y))
    return layers.Bidirectional(layers.GRU(UNITS))(layers.TimeDistributed(model)(x))


@case((3, 6, 2))
def a_normalization_of_every_step(library, x):
    return library.layers.TimeDistributed(library.layers.BatchNormalization(axis=1))(x)


# --- Bidirectional ----------------------------------------------------------------------------------------------------

CLASSES = ("LSTM", "GRU", "SimpleRNN")
MODES = ("concat", "sum", "ave", "mul", None)


def both_ways(what, class_name, merge_mode="concat", backward=None, states=0, kerases=("keras3", "keras2"), **options):
    """Add the case of a layer in both directions; ``states`` are given to it."""

    def build(library, x, *given):
        made = getattr(library.layers, class_name)(UNITS, **options)
        other = {"backward_layer": getattr(library.layers, class_name)(UNITS, **backward)} if backward else {}
        wrapper = library.layers.Bidirectional(made, merge_mode=merge_mode, **other)
        found = wrapper(x, initial_state=list(given)) if given else wrapper(x)
        return list(found) if isinstance(found, tuple) else found

    CASES.append(Case(f"{class_name}-{what}", (STEPS, *[(UNITS,)] * states), build, kerases))


for mode in MODES:
    both_ways(f"{mode}-last", "GRU", mode)
    both_ways(f"{mode}-sequence", "GRU", mode, return_sequences=True)
    both_ways(f"{mode}-states", "LSTM", mode, return_state=True)
    both_ways(f"{mode}-sequence-and-states", "LSTM", mode, return_state=True, return_sequences=True)
for name in CLASSES:
    count = 4 if name == "LSTM" else 2
    both_ways("both-ways", name)
    both_ways("given-states", name, states=count, return_sequences=True)
    both_ways("states-in-and-out", name, states=count, return_state=True)
    turned = {"return_sequences": True, "go_backwards": False}
    both_ways("backwards-first", name, backward=turned, return_sequences=True, go_backwards=True)
    both_ways("backwards-first-alone", name, kerases=("keras2",), go_backwards=True)
    both_ways("another-function-back", name, backward={"activation": "relu", "go_backwards": True})
    both_ways("unrolled", name, return_sequences=True, unroll=True)


@case((None, 3))
def both_ways_twice(library, x):
    layers = library.layers
    y = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True))(x)
    return layers.Bidirectional(layers.LSTM(3))(y)


@case(STEPS, STEPS)
def both_ways_shared(library, x, y):
    shared = library.layers.Bidirectional(library.layers.GRU(UNITS))
    return library.layers.Add()([shared(x), shared(y)])


@case(STEPS)
def states_from_one_to_the_next(library, x):
    layers = library.layers
    y, *states = layers.Bidirectional(layers.LSTM(UNITS, return_sequences=True, return_state=True))(x)
    return layers.Bidirectional(layers.LSTM(UNITS))(y, initial_state=states)


@case(STEPS)
def both_ways_inside_of_a_model(library, x):
    layers = library.layers
    inner = library.Sequential([library.Input(STEPS), layers.Bidirectional(layers.GRU(UNITS)), layers.Dense(3)])
    return library.Model(x, inner(x))


@case(STEPS, STEPS)
def several_outputs_of_a_shared_model(library, x, y):
    """Of one layer, read inside of the model and behind it."""
    layers = library.layers
    given = library.Input(STEPS)
    steps, h, c = layers.LSTM(UNITS, return_sequences=True, return_state=True)(given)
    encoder = library.Model(given, [steps, layers.Dense(3)(h), c])
    (left, dense, _), (right, _, carried) = encoder(x), encoder(y)
    return [layers.Subtract()([left, right]), layers.Concatenate()([dense, carried])]


@case(STEPS, (4, 3))
def from_encoder_to_decoder(library, x, y):
    layers = library.layers
    given = library.Input(STEPS)
    _, *states = layers.Bidirectional(layers.GRU(UNITS, return_state=True))(given)
    encoder = library.Model(given, states)
    wide = library.Input((4, 3)), library.Input((UNITS,)), library.Input((UNITS,))
    decoder = library.Model(
        wide, layers.Bidirectional(layers.GRU(UNITS, return_sequences=True))(wide[0], initial_state=list(wide[1:]))
    )
    return decoder([y, *encoder(x)])


@case((2, *STEPS))
def states_of_a_model_for_every_step(library, x):
    layers = library.layers
    given = library.Input(STEPS)
    _, h, c = layers.LSTM(UNITS, return_state=True)(given)
    return layers.TimeDistributed(library.Model(given, layers.Multiply()([h, c])))(x)


# --- RNN --------------------------------------------------------------------------------------------------------------


def cells(what, *kinds, states=0, both=False, **options):
    """Add the case of cells of some classes in an RNN, maybe in both directions."""

    def build(library, x, *given):
        made = [getattr(library.layers, f"{kind}Cell")(UNITS + place) for place, kind in enumerate(kinds)]
        layer = library.layers.RNN(made if len(made) > 1 else made[0], **options)
        layer = library.layers.Bidirectional(layer) if both else layer
        if not given:
            found = layer(x)
        elif len(kinds) == 1:
            found = layer(x, initial_state=list(given))
        else:
            rest = iter(given)
            found = layer(x, initial_state=[[next(rest) for _ in range(1 + (kind == "LSTM"))] for kind in kinds])
        return keras.tree.flatten(found) if options.get("return_state") else found

    sizes = [UNITS + place for place, kind in enumerate(kinds) for _ in range(1 + (kind == "LSTM"))]
    shapes = ((3, 3), *([(size,) for size in sizes] if states else []))
    CASES.append(Case(what, shapes, build))


for name in CLASSES:
    cells(f"cell-{name}", name)
    cells(f"cell-{name}-sequence-and-states", name, return_sequences=True, return_state=True)
    cells(f"cell-{name}-backwards-given-states", name, states=True, return_sequences=True, go_backwards=True)
    cells(f"cell-{name}-both-ways", name, both=True)
    cells(f"stack-{name}", name, name)
for kinds in (("LSTM", "GRU", "SimpleRNN"), ("SimpleRNN", "LSTM")):
    what = "-".join(kinds)
    cells(f"stack-{what}-sequence", *kinds, return_sequences=True)
    cells(f"stack-{what}-states", *kinds, return_state=True)
    cells(f"stack-{what}-backwards", *kinds, go_backwards=True, return_sequences=True, return_state=True)
    cells(f"stack-{what}-given-states", *kinds, states=True)
    cells(f"stack-{what}-both-ways", *kinds, both=True)


@pytest.mark.parametrize(("case", "name", "source"), parameters(CASES))
def test_a_wrapper_agrees_with_keras(case, name, source):
    check(case, name, source)
