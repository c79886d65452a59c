"""Names in the written file: attributes after the Keras layers, variables by letters, the class after the model."""

from __future__ import annotations

import builtins
import keyword
import re
from collections.abc import Collection, Iterable

# What nn.Module has itself, beside names with an underscore or a "register" in front.
MODULE_ATTRIBUTES = frozenset({
    "T_destination", "add_module", "apply", "bfloat16", "buffers", "call_super_init", "children", "compile", "cpu",
    "cuda", "double", "dump_patches", "eval", "extra_repr", "float", "forward", "get_buffer", "get_extra_state",
    "get_parameter", "get_submodule", "half", "ipu", "load_state_dict", "modules", "mtia", "named_buffers",
    "named_children", "named_modules", "named_parameters", "parameters", "requires_grad_", "set_extra_state",
    "set_submodule", "share_memory", "state_dict", "to", "to_empty", "train", "training", "type", "xpu", "zero_grad",
})  # fmt: skip
IMPORTED = frozenset({"torch", "nn", "F"})
UNSPEAKING = frozenset({"model", "functional", "sequential", "main", "subclass", "load"})  # names that Keras gives


def identifier(text: str) -> str:
    """Give the nearest Python identifier of ASCII letters, without underscores in front."""
    found = re.sub(r"\W+", "_", text, flags=re.ASCII).strip("_")
    return found if found and not found[0].isdigit() else f"layer_{found}".strip("_")


def attribute_name(node: str, suffix: str = "") -> str:
    """Give the name of an attribute: the node's, which is the Keras layer's, with a suffix if there are several.

    Of ``stem/stem_conv``, a path of layers in layers, the first is left out.
    """
    parts = re.sub(r"@\d+$", "", node).split("/")
    paths = zip(parts, [*parts[1:], ""], strict=True)
    found = identifier("/".join(part for part, after in paths if not after.startswith(f"{part}_")))
    if suffix:
        return f"{found}_{suffix}"
    taken = keyword.iskeyword(found) or found in MODULE_ATTRIBUTES or found.startswith("register")
    return f"{found}_" if taken else found


def class_name(model: str, taken: Collection[str] = ()) -> str:
    """Give the name of the class: the model's in capitals, if it says more than that it is a model."""
    words = re.split(r"[^A-Za-z0-9]+", model)
    if words[0].lower() in UNSPEAKING and not "".join(words[1:]).strip("0123456789"):
        return "Model"
    found = "".join(word[:1].upper() + word[1:] for word in words)
    unusable = not found.isidentifier() or keyword.iskeyword(found) or found in IMPORTED or found in taken
    return "Model" if unusable or hasattr(builtins, found) else found


def argument_names(inputs: Iterable[str], taken: Collection[str] = ()) -> list[str]:
    """Give the names of forward's arguments: ``x`` for one, else the inputs' own as identifiers, but those taken."""
    names = list(inputs)
    if len(names) == 1:
        return ["x"]
    found: list[str] = []
    for name in map(identifier, names):
        unusable = keyword.iskeyword(name) or name in {*IMPORTED, "self", *taken} or hasattr(builtins, name)
        wanted = base = f"{name}_input" if unusable else name
        number = 1
        while wanted in found:
            number += 1
            wanted = f"{base}_{number}"
        found.append(wanted)
    return found
