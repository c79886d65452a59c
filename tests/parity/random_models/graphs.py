"""Steps that join values, call layers again, and put models into models."""

from __future__ import annotations

from tests.parity.random_models import LARGEST, numbers, step

MERGES = ("Add", "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum")


@step("Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum", weight=3)
def merge(make, x):
    """Merge with a value of the same shape, or one that a dense layer brings to its last axis."""
    other = make.pick()
    if tuple(other.shape) != tuple(x.shape):
        other = make.layers.Dense(x.shape[-1])(make.layers.Flatten()(other))
    name = make.choose(*MERGES)
    y = getattr(make.layers, name)()([x, other])
    return make.layers.Activation("softsign")(y) if name == "Multiply" else y  # products would grow without end


@step("Concatenate", weight=2)
def concatenate(make, x):
    """Join with a value that agrees on all axes but one."""
    if numbers(x) * 2 > LARGEST:
        return None
    for place, other in reversed(list(enumerate(make.values))):
        if len(other.shape) != len(x.shape) or other is x or numbers(other) + numbers(x) > LARGEST:
            continue
        differing = [axis for axis in range(1, len(x.shape)) if other.shape[axis] != x.shape[axis]]
        if len(differing) <= 1:
            make.used.add(place)
            return make.layers.Concatenate(axis=differing[0] if differing else -1)([x, other])
    return make.layers.Concatenate(axis=make.choose(1, -1))([x, x])


@step("Dot", ranks=(2, 3))
def dot(make, x):
    """With a value that has an axis of the same size."""
    for place, other in reversed(list(enumerate(make.values))):
        if len(other.shape) not in (2, 3) or other is x:
            continue
        pairs = [
            (a, b) for a in range(1, len(x.shape)) for b in range(1, len(other.shape)) if x.shape[a] == other.shape[b]
        ]
        if pairs:
            axes = make.choose(*pairs)
            if numbers(x) // x.shape[axes[0]] * (numbers(other) // other.shape[axes[1]]) > LARGEST:
                continue
            make.used.add(place)
            return make.layers.Dense(4, activation="tanh")(make.layers.Dot(axes)([x, other]))
    return None


@step(weight=2)
def again(make, x):
    """Call an earlier layer, or model, on another value of the shape that it was built for."""
    fitting = [layer for layer, shape in make.shared if shape == tuple(x.shape)]
    return make.choose(*fitting)(x) if fitting else None


@step(weight=2)
def nested(make, x):
    """Wrap a few steps in a model of its own, with one output or several, and sometimes call it twice."""
    inner, given = make.inside(x, make.integer(1, 4))
    outputs = [value for place, value in enumerate(inner.values) if place not in inner.used and place]
    if make.chance(0.3):
        outputs.append(given)
    model = make.library.Model(given, outputs if len(outputs) > 1 else outputs[0])
    made = model(x)
    made = made if isinstance(made, (list, tuple)) else [made]
    same = [value for value in made if tuple(value.shape) == tuple(x.shape)]
    if same and make.chance(0.5):
        second = model(same[0])
        made = [*made, *(second if isinstance(second, (list, tuple)) else [second])]
    elif len(outputs) == 1:
        make.shared.append((model, tuple(x.shape)))
    return list(made)


@step(weight=1)
def sequential(make, x):
    """A Sequential model, with its input said or not."""
    layers = make.layers
    inside = [
        layers.Dense(make.integer(2, 5), activation=make.activation()),
        make.choose(layers.BatchNormalization(), layers.LayerNormalization(epsilon=0.1), layers.Dropout(0.2)),
        make.choose(layers.Activation("tanh"), layers.ReLU(), layers.Dense(x.shape[-1])),
    ]
    first = [layers.Input(tuple(x.shape[1:]))] if make.chance(0.6) else []
    return make.call(make.library.Sequential([*first, *inside]), x)
