"""What a user states a Lambda to be: an expression, read node by node off Python's syntax tree, and never run.

The tree comes from ``ast.parse``, which only parses.  Every kind of node that is not named here is refused with its
column.  Numbers are folded within bounds (``1 / 255``), so that no power of powers takes time or memory.
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NoReturn

from keydnn.convert.normalize.language import (
    BINARY,
    COMPARISONS,
    FUNCTIONS,
    GET_ITEM,
    NEEDED,
    NEGATIVE,
    SAME,
    Function,
    Option,
    is_integer,
    is_number,
)
from keydnn.errors import ParameterError
from keydnn.strict_json import Json, clip

MOST_CHARACTERS, MOST_LEVELS = 1000, 32
LARGEST_INTEGER, LARGEST_REAL = 2**53, 3.4e38
CHARACTERS = re.compile(r"[A-Za-z0-9_ .,:()\[\]+\-*/%@<>=!'\"]*", re.ASCII)
ALLOWED = (
    "allowed are numbers, the inputs, + - * / // % ** @, one comparison, x[...] with constants, and the functions "
    f"{', '.join(sorted(FUNCTIONS))}"
)
FOLDS: Mapping[type[ast.operator], Callable[[Any, Any], Any]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
    ast.FloorDiv: operator.floordiv,
    ast.Mod: operator.mod,
    ast.Pow: operator.pow,
}


@dataclass(frozen=True)
class Tensor:
    """One of the tensors that a Lambda is called with, by its place."""

    place: int


@dataclass(frozen=True, eq=False)
class Operation:
    """An operation of ``keras.ops``.

    Attributes
    ----------
    class_name
        Its class there.
    operands
        Tensors, operations, numbers, lists of numbers; for ``x[...]`` the key too; for joins a list of the former.
    options
        Its configuration.
    """

    class_name: str
    operands: tuple[Any, ...]
    options: Mapping[str, Json] = field(default_factory=dict)


def parse(text: str, tensors: int, constants: Mapping[str, int | float]) -> Operation:
    """Read an expression.

    Parameters
    ----------
    text
        The expression.
    tensors
        How many tensors it may read: ``x0``, ``x1``, ...; a single one is ``x``, too.
    constants
        Numbers by the names that the expression may use for them.

    Raises
    ------
    ParameterError
        It is none, is beyond the limits, or reads no tensor; the message names the column.
    """
    text = text.strip()
    if len(text) > MOST_CHARACTERS:
        raise ParameterError(f"an expression of {len(text)} characters; at most {MOST_CHARACTERS} are possible")
    found = CHARACTERS.match(text)
    if found and found.end() < len(text):
        _refuse(found.end(), f"{text[found.end()]!r} is no part of the language")
    try:
        tree = ast.parse(text, mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        place = (error.offset or 1) - 1 if isinstance(error, SyntaxError) else 0
        _refuse(place, f"not an expression ({clip(error.msg if isinstance(error, SyntaxError) else str(error), 80)})")
    names = {f"x{place}": Tensor(place) for place in range(tensors)} | ({"x": Tensor(0)} if tensors == 1 else {})
    value = _Reader(names, constants).value(tree.body)
    if not isinstance(value, (Tensor, Operation)):
        _refuse(0, f"it reads no tensor; the inputs are {_inputs(names)}")
    return value if isinstance(value, Operation) else Operation(SAME, (value,))


def _inputs(names: Mapping[str, Tensor]) -> str:
    return "x" if "x" in names else ", ".join(names)


def _refuse(column: int, why: str) -> NoReturn:
    raise ParameterError(f"column {column + 1}: {why}; {ALLOWED}")


def _is_tensor(value: Any) -> bool:
    return isinstance(value, (Tensor, Operation))


@dataclass(frozen=True)
class _Reader:
    """The names that an expression may use, and how deep in it this is."""

    names: Mapping[str, Tensor]
    constants: Mapping[str, int | float]
    level: int = 0

    def value(self, node: ast.expr) -> Any:
        """Give a tensor, an operation, a number, or lists of numbers."""
        if self.level > MOST_LEVELS:
            _refuse(node.col_offset, f"more than {MOST_LEVELS} expressions in each other")
        inside = _Reader(self.names, self.constants, self.level + 1)
        match node:
            case ast.Constant():
                return _number(node, node.value)
            case ast.Name():
                return self._named(node)
            case ast.UnaryOp(op=ast.USub() | ast.UAdd()):
                return _signed(node, inside.value(node.operand))
            case ast.BinOp():
                return _combined(node, inside.value(node.left), inside.value(node.right))
            case ast.Compare(ops=[op], comparators=[right]) if type(op) in COMPARISONS:
                pair = inside.value(node.left), inside.value(right)
                if not any(map(_is_tensor, pair)):
                    _refuse(node.col_offset, "a comparison of numbers")
                return Operation(COMPARISONS[type(op)], pair)
            case ast.Subscript():
                x = inside.value(node.value)
                if not _is_tensor(x):
                    _refuse(node.col_offset, "an index of what is no tensor")
                return Operation(GET_ITEM, (x, inside._key(node.slice)))
            case ast.Call():
                return inside._called(node)
            case ast.List() | ast.Tuple():
                return _row(node, [inside.value(item) for item in node.elts])
        _refuse(node.col_offset, f"{_kind(node)} is no part of the language")

    def _named(self, node: ast.Name) -> Any:
        if node.id in self.names:
            return self.names[node.id]
        if node.id in self.constants:
            return _number(node, self.constants[node.id])
        known = f"the inputs are {_inputs(self.names)}"
        known += f", the arguments {', '.join(sorted(self.constants))}" if self.constants else ""
        _refuse(node.col_offset, f"the name {node.id!r} is not known; {known}")

    def _key(self, node: ast.expr) -> tuple[Any, ...]:
        """Give what stands in the brackets of ``x[...]``."""
        return tuple(map(self._item, node.elts if isinstance(node, ast.Tuple) else [node]))

    def _item(self, node: ast.expr) -> Any:
        if isinstance(node, ast.Slice):
            ends = (node.lower, node.upper, node.step)
            return slice(*(None if end is None else self._end(end) for end in ends))
        if isinstance(node, ast.Constant) and node.value is Ellipsis:
            return ...
        return self._end(node)

    def _end(self, node: ast.expr) -> int | None:
        value = self._constant(node)
        if not is_integer(value) and value is not None:
            _refuse(node.col_offset, "integers, slices of integers, None and ... are expected in an index")
        return value  # type: ignore[no-any-return]  # it is an integer or None

    def _constant(self, node: ast.expr) -> Any:
        """Give a number, True, False, None, or lists of them."""
        if isinstance(node, ast.Constant) and (node.value is None or isinstance(node.value, bool)):
            return node.value
        if isinstance(node, (ast.List, ast.Tuple)) and self.level <= MOST_LEVELS:
            inside = _Reader(self.names, self.constants, self.level + 1)
            return [inside._constant(item) for item in node.elts]
        return self.value(node)

    def _called(self, node: ast.Call) -> Operation:
        name = node.func.id if isinstance(node.func, ast.Name) else ""
        function = FUNCTIONS.get(name)
        if function is None:
            last = node.func.attr if isinstance(node.func, ast.Attribute) else name
            wrong = f"{clip(last, 40)!r} is no function of the language"
            _refuse(node.func.col_offset, f"write {last}(...) alone" if last in FUNCTIONS else wrong)
        given = _arguments(node, name, function)
        operands = tuple(self._operand(given[key], function) for key in function.operands)
        tensors = operands[0] if function.listed else operands
        if not any(map(_is_tensor, tensors)):
            _refuse(node.col_offset, f"{name} reads no tensor")
        options = {
            option.key: self._option(name, key, option, given[key]) if key in given else option.default
            for key, option in function.options.items()
        }
        return Operation(function.class_name, operands, options)

    def _operand(self, node: ast.expr, function: Function) -> Any:
        if not function.listed:
            return self.value(node)
        if not isinstance(node, (ast.List, ast.Tuple)) or not node.elts:
            _refuse(node.col_offset, "a list of tensors is expected")
        return [self.value(item) for item in node.elts]

    def _option(self, name: str, key: str, option: Option, node: ast.expr) -> Json:
        if not option.words:
            value = self._constant(node)
        else:
            value = node.id if isinstance(node, ast.Name) else getattr(node, "value", None)
        if _is_tensor(value) or not option.check(value):
            _refuse(node.col_offset, f"{key} of {name} must be {option.wanted}")
        return value


def _arguments(node: ast.Call, name: str, function: Function) -> dict[str, ast.expr]:
    """Give the arguments of a call by the function's parameters, each once, and none too few."""
    keys = [*function.operands, *function.options]
    if len(node.args) > len(keys):
        _refuse(node.args[len(keys)].col_offset, f"{name} takes {', '.join(keys)}")
    given = dict(zip(keys, node.args, strict=False))
    for keyword in node.keywords:
        if keyword.arg not in keys or keyword.arg in given:
            _refuse(keyword.value.col_offset, f"{name} takes {', '.join(keys)}, each once")
        given[keyword.arg] = keyword.value
    for key, item in given.items():
        if isinstance(item, ast.Starred):
            _refuse(item.col_offset, f"{key} of {name} must be written out")
    needed = [*function.operands, *(key for key, option in function.options.items() if option.default is NEEDED)]
    missing = [key for key in needed if key not in given]
    if missing:
        _refuse(node.col_offset, f"{name} needs {', '.join(missing)}")
    return given


def _number(node: ast.expr, value: Any) -> int | float:
    """Give a number if it is one within the bounds."""
    if not is_number(value):
        _refuse(node.col_offset, f"{clip(repr(value), 40)} is no number")
    if not (abs(value) <= LARGEST_INTEGER if is_integer(value) else abs(value) <= LARGEST_REAL):
        _refuse(node.col_offset, "a number too large")
    return value  # type: ignore[no-any-return]  # it is one


def _signed(node: ast.UnaryOp, value: Any) -> Any:
    minus = isinstance(node.op, ast.USub)
    if isinstance(value, list):
        _refuse(node.col_offset, "a sign before a list")
    if not _is_tensor(value):
        return -value if minus else value
    return Operation(NEGATIVE, (value,)) if minus else value


def _combined(node: ast.BinOp, left: Any, right: Any) -> Any:
    """Give an operation on two operands; numbers are folded."""
    kind = type(node.op)
    if kind not in BINARY:
        _refuse(node.col_offset, f"{_kind(node.op)} is no part of the language")
    if _is_tensor(left) or _is_tensor(right):
        return Operation(BINARY[kind], (left, right))
    if kind not in FOLDS or not (is_number(left) and is_number(right)):
        _refuse(node.col_offset, "an operation on lists, of which none is a tensor")
    if kind is ast.Pow and is_integer(left) and is_integer(right) and left.bit_length() * abs(right) > 64:
        left = float(left)  # within its range, or an OverflowError
    try:
        value = FOLDS[kind](left, right)
    except (ArithmeticError, ValueError) as error:
        _refuse(node.col_offset, f"{type(error).__name__} in an operation on numbers")
    if not is_number(value) or not math.isfinite(value):
        _refuse(node.col_offset, "an operation on numbers whose result is none")
    return _number(node, value)


def _row(node: ast.List | ast.Tuple, items: list[Any]) -> list[Any]:
    """Give a list of numbers, or of such lists of the same length."""
    lengths = {len(item) if isinstance(item, list) else -1 for item in items}
    if not items or any(map(_is_tensor, items)) or len(lengths) > 1:
        _refuse(node.col_offset, "a list here must hold numbers only, in rows of the same length")
    return items


def _kind(node: ast.AST) -> str:
    """Name a kind of node in words."""
    return re.sub(r"(?<=[a-z])(?=[A-Z])", " ", type(node).__name__).lower()
