"""PyTorch's modules as takers of weights.  PyTorch is never imported unless one of its modules has been given."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import numpy as np

from keydnn.errors import Mismatch, ParameterError, WeightsMismatchError
from keydnn.transfer.forms import Floats, Shapes
from keydnn.transfer.rules import RULES
from keydnn.transfer.targets import Target, Values, target_of

STATISTICS = ("running_mean", "running_var")  # the other buffers are no weights, num_batches_tracked among them
ATTENTION = "MultiheadAttention"
RECURRENT = re.compile(r"((?:weight|bias)_(?:ih|hh|hr))_(l\d+(?:_reverse)?)")


def _classes(model: Any) -> list[str]:
    """Name the classes of PyTorch that an object is of, the nearest first."""
    return [kind.__name__ for kind in type(model).__mro__ if kind.__module__.partition(".")[0] == "torch"]


def is_torch_module(model: Any) -> bool:
    """Tell whether an object is a ``torch.nn.Module``."""
    return "Module" in _classes(model) and hasattr(model, "named_modules")


class TorchRecipient:
    """A ``torch.nn.Module``, whose parameters and buffers are written in place."""

    def __init__(self, model: Any) -> None:
        self._model = model
        self.targets = tuple(self._find())

    def _find(self) -> Iterator[Target]:
        """Give the modules that hold parameters, in the order in which they were defined; tied ones once."""
        seen: set[int] = set()
        for path, module in self._model.named_modules():
            buffers = dict(module.named_buffers(recurse=False))
            tensors = dict(module.named_parameters(recurse=False))
            tensors |= {name: buffers[name] for name in STATISTICS if name in buffers}
            if not tensors or all(id(tensor) in seen for tensor in tensors.values()):
                continue
            seen.update(map(id, tensors.values()))
            path = path or "(the model)"
            problem = next(filter(None, map(_problem_of, tensors.values())), "")
            if problem:
                yield Target(path, "", module, {}, {}, (), f"{type(module).__name__} {problem}")
                continue
            shapes = {name: tuple(int(size) for size in tensor.shape) for name, tensor in tensors.items()}
            kind = next((name for name in _classes(module) if name in RULES), None)
            if kind == ATTENTION:
                yield from _projections(path, module, shapes)
                continue
            parts = _parts(list(shapes))
            for part, names in parts.items():
                own = {tensor: shapes[name] for tensor, name in names.items()}
                yield target_of(path, module, kind, own, names, part if len(parts) > 1 else "")

    def dtype_of(self, target: Target, tensor: str) -> str:
        """Give the type that a tensor has."""
        return str(getattr(target.module, target.names[tensor]).dtype).removeprefix("torch.")

    def write(self, values: Values) -> Any:
        """Copy all weights into the model's own tensors; whether they are trained, and where they lie, stays.

        Raises
        ------
        WeightsMismatchError
            Two modules share a tensor, but their layers do not.
        """
        import torch

        arrays: dict[tuple[int, int | None], tuple[tuple[Any, slice], Floats]] = {}
        for target, made in values:
            for name, array in made.items():
                tensor = getattr(target.module, target.names[name])
                first = arrays.setdefault((id(tensor), target.rows.start), ((tensor, target.rows), array))
                if not np.array_equal(first[1], array, equal_nan=True):
                    why = f"{target.names[name]} is the tensor of a module before it, but the file's numbers differ"
                    raise WeightsMismatchError("the model", [Mismatch(target.label, "", "", why)], ())
        with torch.no_grad():
            for (tensor, rows), array in arrays.values():
                tensor[rows].copy_(torch.from_numpy(np.ascontiguousarray(array)))
        return self._model


def _projections(path: str, module: Any, shapes: Shapes) -> Iterator[Target]:
    """Give the three projections of an attention, rows of one tensor; the fourth is a module of its own."""
    size = module.embed_dim
    own = {"weight": (size, size), "bias": (size,)} if "in_proj_bias" in shapes else {"weight": (size, size)}
    names = {tensor: f"in_proj_{tensor}" for tensor in own}
    if set(shapes) != set(names.values()):
        others = ", ".join(sorted(set(shapes) - {"in_proj_weight", "in_proj_bias"}))
        yield Target(path, "", module, {}, {}, (), f"{ATTENTION} with {others}, for which there is no layout")
        return
    for place, part in enumerate(("query", "key", "value")):
        target = target_of(path, module, ATTENTION, own, names, part)
        yield replace(target, rows=slice(place * size, (place + 1) * size))


def _problem_of(tensor: Any) -> str:
    """Say why a tensor cannot be written; empty if it can."""
    if type(tensor).__name__.startswith("Uninitialized"):
        return "has no shapes before it has computed once; call the model on an example first"
    return "lies on the meta device, which holds no numbers" if getattr(tensor, "is_meta", False) else ""


def _parts(names: list[str]) -> Mapping[str, dict[str, str]]:
    """Give the tensors of each layer and direction of a recurrent module; of all others, all tensors."""
    parts: dict[str, dict[str, str]] = {}
    for name in names:
        found = RECURRENT.fullmatch(name)
        own, part = (found[1], found[2]) if found else (name, "")
        parts.setdefault(part, {})[own] = name
    return parts


def recipient_of(model: Any) -> TorchRecipient:
    """Give a PyTorch model as a taker of weights.

    Raises
    ------
    ParameterError
        It is none.
    """
    if not is_torch_module(model):
        raise ParameterError(
            "model must be a keydnn.Model, a keydnn.Graph or a torch.nn.Module, "
            f"got {type(model).__module__}.{type(model).__qualname__}"
        )
    return TorchRecipient(model)
