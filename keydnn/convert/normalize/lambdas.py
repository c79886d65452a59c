"""Pass: a Lambda becomes the operations that the user says it stands for.

A ``Lambda`` holds Python code: marshalled by Keras 1 and 2 (``["4wEAAA...", defaults, closure]``), the same in an
object by Keras 3, or a function's name alone.  The code is never run, unmarshalled or looked at: all that is done with
it is to take its SHA-256, which tells whether two files, or a file and a record, speak of the same code.
Source: ``keras/src/layers/core/lambda_layer.py`` and ``tf_keras/src/layers/core/lambda_layer.py``.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from keydnn.convert.normalize.expression import Operation, Tensor, parse
from keydnn.convert.normalize.language import is_number
from keydnn.convert.normalize.notes import Notes
from keydnn.convert.read.record import Call, KerasModel, Layer, TensorRef, constants_in, has_keys, refs_in
from keydnn.errors import ParameterError
from keydnn.names import Names
from keydnn.strict_json import Json, clip

CLASS = "Lambda"
DIGITS = 16  # of a SHA-256, as shown
READ = {
    "name", "trainable", "dtype", "function", "function_type", "module", "output_shape", "output_shape_type",
    "output_shape_module", "arguments", "mask", "mask_type", "mask_module", "batch_input_shape", "batch_shape",
    "build_config", "input_dtype", "shared_object_id", "registered_name",
}  # fmt: skip
NOT_READ = {"mask", "training"}  # arguments of a call that the expression does not see
UNSUITED = "which the operations of an expression cannot do"


def is_lambda(layer: Layer) -> bool:
    """Tell a layer that is Python code."""
    return layer.class_name == CLASS and not layer.package


def code_of(layer: Layer) -> str:
    """Say what the file has for a Lambda's function: code with the first digits of its SHA-256, or a name.

    The digest is that of the code's text as the file has it (base64, line breaks included), in UTF-8.
    """
    function, kind = layer.config.get("function"), layer.config.get("function_type")
    if isinstance(function, dict) and isinstance(function.get("config"), dict):
        inner = function["config"]
        found = inner.get("value", [inner.get("code"), inner.get("defaults"), inner.get("closure")])
    elif isinstance(function, dict):
        found = function.get("config")
    else:
        found = [function] if kind == "lambda" and isinstance(function, str) else function
    if isinstance(found, str):
        return f"the function {clip(found, 60)!r} by its name, without its code"
    code, *more = found if isinstance(found, list) and found else [None]
    if not isinstance(code, str):
        return "no code that Keras writes"
    digest = hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
    values = [
        f"{what} {clip(repr(value), 60)}" for what, value in zip(("defaults", "closure"), more, strict=False) if value
    ]
    return f"Python code, SHA-256 {digest[:DIGITS]}{''.join(f', {value}' for value in values)}"


def write_out(model: KerasModel, notes: Notes) -> KerasModel:
    """Put operations in the place of every Lambda that is stated; the last of them has its name.

    Raises
    ------
    ParameterError
        A statement about a layer that is no Lambda of the file, or one that is no expression of the language.
    """
    stated = notes.options.lambdas
    found = [layer.name for layer in model.layers if is_lambda(layer)]
    unknown = [name for name in stated if name not in found]
    if unknown:
        known = f"its Lambdas are {', '.join(map(repr, found))}" if found else "it has none"
        raise ParameterError(f"{unknown[0]!r} is no Lambda of {model.source}; {clip(known, 500)}")
    names = Names(layer.name for layer in model.layers)
    layers: list[Layer] = []
    for layer in model.layers:
        layers += _stated(layer, stated[layer.name], names, notes) if layer.name in stated else [layer]
    several = {name for name in stated if any(ref.layer == name and ref.tensor for ref in _all_refs(model))}
    for layer in model.layers:
        if layer.name in several:
            _obstacle(notes, layer, "gives several tensors")
    return dataclasses.replace(model, layers=tuple(layers))


def _all_refs(model: KerasModel) -> list[TensorRef]:
    read = [call for layer in model.layers for call in layer.calls]
    return [*model.outputs, *(ref for call in read for ref in refs_in((call.args, call.kwargs)))]


def _obstacle(notes: Notes, layer: Layer, what: str) -> None:
    message = f"Unsupported Keras layer: {layer.class_name} that {what}"
    notes.obstacle(layer.name, layer.class_name, message, f"{what}, {UNSUITED}")


def _stated(layer: Layer, text: str, names: Names, notes: Notes) -> list[Layer]:
    """Give the operations of a Lambda; the Lambda itself where something in its configuration is in the way."""
    problems = [*_problems(layer)]
    for problem in problems:
        _obstacle(notes, layer, problem)
    inputs = [list(refs_in(call.args[:1])) for call in layer.calls]
    if problems or not inputs:
        return [layer]
    arguments = {key: value for key, value in (layer.config.get("arguments") or {}).items() if is_number(value)}
    try:
        if not isinstance(text, str):
            raise ParameterError("no text")
        expression = parse(text, len(inputs[0]), arguments)
    except ParameterError as error:
        shown = clip(text, 80) if isinstance(text, str) else repr(text)
        raise ParameterError(f"what the Lambda {layer.name!r} stands for, {shown!r}: {error}") from None
    used = "".join(f", with {key}={value!r} from the file" for key, value in arguments.items())
    what = f"{code_of(layer)}, stands for {text.strip()}, as stated{used}"
    notes.rewrite(layer.name, layer.class_name, what, stated=True)
    writer = _Writer(layer, inputs, names)
    writer.write(expression, is_last=True)
    return writer.layers


def _problems(layer: Layer) -> list[str]:
    """Say what a Lambda does beside calling its function, if anything."""
    others = {key: value for key, value in layer.config.items() if key not in READ and value is not None}
    found = [f"has {key}={clip(repr(value), 60)}" for key, value in sorted(others.items())]
    if layer.config.get("mask") is not None:
        found.append("has a mask of its own")
    arguments = layer.config.get("arguments") or {}
    if not isinstance(arguments, dict):
        found.append("has arguments without names")
    if len({len(list(refs_in(call.args[:1]))) for call in layer.calls}) > 1:
        found.append("is called with another number of tensors each time")
    for call in layer.calls:
        if any(map(has_keys, call.args[:1])):
            found.append("is called with a dictionary of tensors")
        kwargs = {key: value for key, value in call.kwargs.items() if key not in NOT_READ}
        found += [f"is called with {what}" for what in constants_in(Call(call.args[:1], kwargs))]
    return found


@dataclass
class _Writer:
    """Writes an expression as layers.

    Attributes
    ----------
    whole
        The Lambda.
    inputs
        The tensors of each of its calls.
    names
        All names in use.
    layers
        What has been written: an operation comes behind those it reads.
    """

    whole: Layer
    inputs: Sequence[Sequence[TensorRef]]
    names: Names
    layers: list[Layer] = field(default_factory=list)

    def write(self, operation: Operation, *, is_last: bool = False) -> str:
        """Write an operation, those that it reads first, and give its name."""
        whole = self.whole
        operands = [self._prepared(operand) for operand in operation.operands]
        name = whole.name if is_last else self.names.new(f"{whole.name}.{operation.class_name.lower()}")
        policy = {"dtype": whole.config["dtype"]} if is_last and "dtype" in whole.config else {}
        self.layers.append(
            Layer(
                name,
                operation.class_name,
                "ops",
                {**policy, **operation.options},
                tuple(
                    Call(tuple(_bound(operand, number, tensors) for operand in operands))
                    for number, tensors in enumerate(self.inputs)
                ),
                part_of=(whole.name, whole.class_name),
                declared=_declared(whole.config) if is_last else None,
            )
        )
        return name

    def _prepared(self, operand: Any) -> Any:
        """Give an operand with the operations in it written, each replaced by the reference to its first call."""
        if isinstance(operand, list):
            return [self._prepared(item) for item in operand]
        return TensorRef(self.write(operand)) if isinstance(operand, Operation) else operand


def _bound(operand: Any, number: int, tensors: Sequence[TensorRef]) -> Any:
    """Give an operand as it is in one of the calls."""
    if isinstance(operand, list):
        return [_bound(item, number, tensors) for item in operand]
    if isinstance(operand, Tensor):
        return tensors[operand.place]
    return dataclasses.replace(operand, call=number) if isinstance(operand, TensorRef) else operand


def _declared(config: Mapping[str, Json]) -> tuple[int | None, ...] | None:
    """Give the shape without the batch that a configuration says a Lambda's output has, where it is numbers."""
    shape = config.get("output_shape")
    if config.get("output_shape_type", "raw") != "raw" or not isinstance(shape, list):
        return None
    return tuple(shape) if all(size is None or type(size) is int for size in shape) else None
