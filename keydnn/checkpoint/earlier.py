"""Format v1, which the earlier package of this name wrote: a Sequential of thirteen layers, channels first.

::

    {"format": "keydnn.json.ckpt.v1",
     "arch": {"type": "Sequential", "config": {}, "children": {"0": {"type": "Conv2d", "config": {...}, ...}, ...}},
     "state": {"0.weight": {"b64": "...", "dtype": "<f4", "shape": [2, 1, 3, 3], "order": "C"}, ...}}

It has no digests, no input shape, and never the running statistics of BatchNorm.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias

from keydnn.checkpoint import decode, tensors
from keydnn.checkpoint.document import Checkpoint
from keydnn.checkpoint.spot import Spot, show
from keydnn.errors import CheckpointError
from keydnn.graph import Input, Node, Output
from keydnn.modules import MODULE_TYPES, Module
from keydnn.modules.base import Array, Shape

FORMAT = "keydnn.json.ckpt.v1"

Config: TypeAlias = Mapping[str, Spot]

_IGNORED = ("device", "dtype", "momentum")  # where it ran and how it was trained


@dataclass(frozen=True)
class _Layer:
    """How a layer of v1 is read.

    Attributes
    ----------
    module
        The module it becomes.
    keys
        The keys of its configuration.
    arguments
        Makes the module's arguments of them.
    tensors
        The names that v1 gives to the module's tensors, where they differ.
    """

    module: str
    keys: tuple[str, ...]
    arguments: Callable[[Config], dict[str, Any]]
    tensors: Mapping[str, str]


def _pair(spot: Spot) -> tuple[int, ...]:
    """Give an integer or a pair of them as a pair."""
    if isinstance(spot.value, list):
        pair = tuple(item.integer(0) for item in spot.items())
        if len(pair) != 2:
            spot.fail(f"must be an integer or two, got {show(spot.value)}")
        return pair
    return (spot.integer(0),) * 2


def _flag(spot: Spot) -> bool:
    if not isinstance(spot.value, bool):
        spot.fail(f"must be true or false, got {show(spot.value)}")
    return bool(spot.value)


def _linear(config: Config) -> dict[str, Any]:
    sizes = {key: config[key].value for key in ("in_features", "out_features")}
    return sizes | {"use_bias": _flag(config["bias"])}


def _conv(config: Config) -> dict[str, Any]:
    sizes: dict[str, Any] = {key: config[key].value for key in ("in_channels", "out_channels")}
    windows = {key: _pair(config[key]) for key in (*_WINDOW, "output_padding") if key in config}
    return sizes | windows | {"use_bias": _flag(config["bias"])}


def _pool(config: Config) -> dict[str, Any]:
    stride = "kernel_size" if config["stride"].value is None else "stride"
    return {key: _pair(config[key]) for key in ("kernel_size", "padding")} | {"stride": _pair(config[stride])}


def _average_pool(config: Config) -> dict[str, Any]:
    return _pool(config) | {"count_include_pad": True}  # v1 divides by the full window


def _layer_norm(config: Config) -> dict[str, Any]:
    shape = config["normalized_shape"]
    sizes = shape.sizes() if isinstance(shape.value, list) else (shape.integer(1),)
    affine = _flag(config["affine"])
    return {"normalized_shape": sizes, "eps": config["eps"].value, "use_weight": affine, "use_bias": affine}


def _same(**names: str) -> Callable[[Config], dict[str, Any]]:
    """Make arguments of single values: ``_same(dim="axis")`` takes the configuration's axis as the argument dim."""
    return lambda config: {ours: config[theirs].value for ours, theirs in names.items()}


_WINDOW = ("kernel_size", "stride", "padding")
_CHANNELS = ("in_channels", "out_channels", *_WINDOW, "bias")
_DENSE = _Layer("Linear", ("in_features", "out_features", "bias"), _linear, {})
_LAYERS = {
    "Linear": _DENSE,
    "Dense": _DENSE,
    "Conv2d": _Layer("Conv2d", _CHANNELS, _conv, {}),
    "Conv2dTranspose": _Layer("ConvTranspose2d", (*_CHANNELS, "output_padding"), _conv, {}),
    "LayerNorm": _Layer(
        "LayerNorm", ("normalized_shape", "eps", "affine"), _layer_norm, {"weight": "gamma", "bias": "beta"}
    ),
    "MaxPool2d": _Layer("MaxPool2d", _WINDOW, _pool, {}),
    "AvgPool2d": _Layer("AvgPool2d", _WINDOW, _average_pool, {}),
    "GlobalAvgPool2d": _Layer("GlobalAvgPool2d", (), _same(), {}),
    "Dropout": _Layer("Dropout", ("p",), _same(p="p"), {}),
    "ReLU": _Layer("ReLU", (), _same(), {}),
    "LeakyReLU": _Layer("LeakyReLU", ("alpha",), _same(negative_slope="alpha"), {}),
    "Sigmoid": _Layer("Sigmoid", (), _same(), {}),
    "Tanh": _Layer("Tanh", (), _same(), {}),
    "Softmax": _Layer("Softmax", ("axis",), _same(dim="axis"), {}),
    "Flatten": _Layer("Flatten", (), _same(), {}),
}
_ELEMENTWISE = ("Dropout", "ReLU", "LeakyReLU", "Sigmoid", "Tanh")
_ON_IMAGES = ("Conv2d", "ConvTranspose2d", "MaxPool2d", "AvgPool2d", "GlobalAvgPool2d")


def read(root: Spot) -> Checkpoint:
    """Make a graph of a v1 document.

    Raises
    ------
    MissingWeightsError
        A layer's weights are not there; always for BatchNorm, whose statistics v1 never stores.
    CheckpointError
        Anything else that is wrong, or that v1 does not tell.
    """
    keys = root.members("format", "arch", "state")
    state = keys["state"].entries()
    layers = list(_leaves(keys["arch"], ""))
    if not layers:
        keys["arch"].fail("has no layers")
    _refuse_batch_norm(layers, keys["state"])
    modules = _fix_global_pooling([_make(spot, keys["state"], state, name) for name, spot in layers], layers)
    if state:
        next(iter(state.values())).fail("no layer has such a tensor")
    given = Input("input", _input_shape(modules, keys["arch"]))
    names = [name for name, _ in layers]
    calls = [
        Node(name, module, (before,))
        for name, module, before in zip(names, modules, [given.name, *names[:-1]], strict=True)
    ]
    return Checkpoint(decode.make_graph(root, [given], calls, [Output("output", names[-1])]), None, FORMAT)


def _leaves(spot: Spot, prefix: str) -> Iterator[tuple[str, Spot]]:
    """Give the layers of a Sequential and of those in it, in their order, with dotted names."""
    sequential = spot.members("type", "config", "children")
    if sequential["type"].text() != "Sequential":
        sequential["type"].fail(f"must be Sequential, got {show(sequential['type'].value)}")
    sequential["config"].members(optional=_IGNORED)
    children = sequential["children"].entries()
    if set(children) != {str(index) for index in range(len(children))}:
        sequential["children"].fail(f"must be numbered from 0 to {len(children) - 1}, got {show(list(children))}")
    for index in range(len(children)):
        child = children[str(index)]
        if child.members("type", "config", "children")["type"].value == "Sequential":
            yield from _leaves(child, f"{prefix}{index}.")
        else:
            yield f"{prefix}{index}", child


def _refuse_batch_norm(layers: Sequence[tuple[str, Spot]], state: Spot) -> None:
    for name, spot in layers:
        kind = spot.value["type"]
        if kind in ("BatchNorm1d", "BatchNorm2d"):
            config = spot.value["config"]
            size = config.get("num_features") if isinstance(config, dict) else None
            reason = (
                f"layer {show(name)}: {FORMAT} never stores running_mean and running_var, so what this layer computed "
                "is not in the file"
            )
            raise decode.missing_weights(state, f"{kind}(num_features={show(size)})", reason)


def _make(spot: Spot, state: Spot, left: dict[str, Spot], name: str) -> Module:
    """Make one layer with its tensors, which are taken out of what is left of the state."""
    keys = spot.members("type", "config", "children")
    layer = _LAYERS.get(keys["type"].text())
    if layer is None:
        keys["type"].fail(f"{FORMAT} has no layer {show(keys['type'].value)}; it has {', '.join(_LAYERS)}")
    keys["children"].members()
    config = keys["config"].members(*layer.keys, optional=_IGNORED)
    module = decode.construct(keys["config"], MODULE_TYPES[layer.module], layer.arguments(config))
    own = {ours: f"{name}.{layer.tensors.get(ours, ours)}" for ours in module.tensor_shapes()}
    missing = [key for key in own.values() if key not in left]
    if missing:
        raise decode.missing_weights(state, module, f"there is no {', '.join(map(show, missing))}")
    arrays = {ours: _tensor(left.pop(key), module.tensor_shapes()[ours]) for ours, key in own.items()}
    return module.with_tensors(arrays) if arrays else module


def _tensor(spot: Spot, shape: tuple[int, ...]) -> Array:
    entry = spot.members("b64", "dtype", "shape", "order")
    for key, wanted in (("dtype", tensors.DTYPE), ("order", "C"), ("shape", list(shape))):
        if entry[key].value != wanted:
            entry[key].fail(f"must be {show(wanted)}, got {show(entry[key].value)}")
    entry["shape"].sizes()
    return tensors.from_base64(entry["b64"], shape)


def _fix_global_pooling(modules: Sequence[Module], layers: Sequence[tuple[str, Spot]]) -> list[Module]:
    """Let what follows a global pooling decide whether it keeps its two axes of size one: v1 does not tell."""
    fixed: list[Module] = []
    for index, module in enumerate(modules):
        if type(module).__name__ == "GlobalAvgPool2d":
            after = (m for m in modules[index + 1 :] if type(m).__name__ not in _ELEMENTWISE)
            follower = type(next(after, None)).__name__
            if follower not in ("Flatten", "Linear", *_ON_IMAGES):
                raise CheckpointError(
                    f"{layers[index][1].file}: {layers[index][1].path}: {FORMAT} does not tell whether it gives "
                    "(N, C) or (N, C, 1, 1), and no later layer does; convert the Keras model again "
                    "(keydnn convert --src ... --dst ...)"
                )
            module = type(module)(keepdims=follower in _ON_IMAGES)  # type: ignore[call-arg]  # it is a GlobalAvgPool2d
        fixed.append(module)
    return fixed


def _input_shape(modules: Sequence[Module], arch: Spot) -> Shape:
    """Work out as much of the input's shape as the first layers tell."""
    images = pooled = False
    for module in modules:
        kind = type(module).__name__
        parameters = module.parameters()
        if kind in ("Conv2d", "ConvTranspose2d"):
            return (None, parameters["in_channels"], None, None)
        if kind in _ON_IMAGES:  # pooling leaves the channels to a later layer
            images, pooled = True, pooled or kind == "GlobalAvgPool2d"
        elif kind == "LayerNorm" and not images:
            return (None, *parameters["normalized_shape"])
        elif kind == "Linear":
            channels = parameters["in_features"]
            return (None, channels if pooled else None, None, None) if images else (None, channels)
        elif images and not pooled and kind not in (*_ELEMENTWISE, "Softmax"):
            return (None, None, None, None)
        elif kind == "Flatten" and not images:
            break
    if images:
        return (None, None, None, None)
    raise CheckpointError(
        f"{arch.file}: {arch.path}: {FORMAT} stores no input shape, and the first layers do not tell it; "
        "convert the Keras model again (keydnn convert --src ... --dst ...)"
    )
