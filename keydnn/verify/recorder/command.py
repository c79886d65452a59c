"""The program's command line."""

from __future__ import annotations

import argparse
import contextlib
import os
import secrets
from typing import Any

from .inputs import FREE_SIZES, make_input, read_input
from .library import LIBRARIES, Library, open_model
from .lines import Problem, say
from .source import digest_of
from .writing import FORMAT, Writer, record


def record_file(
    src: str, out: str, inputs: list[str], examples: int, seed: int, wanted: str | None, architecture: str | None = None
) -> str:
    """Record a file; give what was done in one line."""
    library, model = open_model(src, wanted, architecture)
    if not getattr(model, "inputs", None) or not getattr(model, "outputs", None):
        raise Problem("the model has no inputs of known shape; only Sequential and functional models are recorded")
    if any(tensor.shape is None or getattr(tensor.shape, "rank", 0) is None for tensor in model.inputs):
        raise Problem("the model has an input of unknown rank")
    count = len(model.inputs)
    if inputs and len(inputs) != count:
        raise Problem(f"the model has {count} inputs ({', '.join(t.name for t in model.inputs)}), not {len(inputs)}")
    if inputs:
        choices = [[read_input(path, model, place) for place, path in enumerate(inputs)]]
    else:
        sizes = FREE_SIZES if any(None in tuple(tensor.shape)[1:] for tensor in model.inputs) else FREE_SIZES[:1]
        choices = [[make_input(model, place, examples, seed, size) for place in range(count)] for size in sizes]
    source = {"file": os.path.basename(os.path.abspath(src)), "sha256": digest_of(src)}
    head = {"format": FORMAT, "source": source, "seed": None if inputs else seed}
    temporary = os.path.join(os.path.dirname(out), f".keydnn-{secrets.token_hex(8)}.tmp")
    try:
        meta, size = _write_first(library, model, choices, temporary, head)
        os.replace(temporary, out)
    except OSError as error:
        raise Problem(f"{out}: cannot be written: {error.strerror}") from None
    finally:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
    for note in meta["notes"]:
        say("note", note)
    layers = len({entry["layer"] for entry in meta["activations"]})
    return (
        f"{len(meta['activations'])} outputs of {layers} layers, {len(choices[0][0])} examples, by {library.name} on "
        f"{library.title}, {size / 1e6:.2f} MB"
    )


def _write_first(
    library: Library, model: Any, choices: list[list[Any]], path: str, head: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    """Record the model on the first inputs that it takes; give the description and the size."""
    for arrays in choices[:-1]:
        with contextlib.suppress(Problem):
            return _write(library, model, arrays, path, head)
    return _write(library, model, choices[-1], path, head)


def _write(
    library: Library, model: Any, arrays: list[Any], path: str, head: dict[str, Any]
) -> tuple[dict[str, Any], int]:
    with open(path, "wb") as file:
        writer = Writer(file)
        try:
            meta = record(library, model, arrays, writer)
            writer.finish({**head, **meta})
        finally:
            writer.close()
        file.flush()
        os.fsync(file.fileno())
        return meta, file.tell()


def main(words: list[str]) -> int:
    """Run the script; exit status 0 or 1."""
    parser = argparse.ArgumentParser(description="Record what Keras computes for a file, layer by layer.")
    parser.add_argument("--src", required=True, help="the .h5 or .keras file")
    parser.add_argument("--out", required=True, help="the recording to write (.npz)")
    parser.add_argument("--input", action="append", default=[], help="a .npy file; once for every input of the model")
    parser.add_argument("--examples", type=int, default=2, help="number of examples that are made up")
    parser.add_argument("--seed", type=int, default=0, help="what they are made up from")
    parser.add_argument("--keras", choices=LIBRARIES, help="which Keras to use")
    parser.add_argument("--architecture", help="the JSON file that says what a file of weights only belongs to")
    given = parser.parse_args(words)
    os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")  # a processor's sums are the better reference
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    os.environ.setdefault("NVIDIA_TF32_OVERRIDE", "0")
    try:
        done = record_file(
            given.src, given.out, given.input, given.examples, given.seed, given.keras, given.architecture
        )
    except Problem as problem:
        say("error", f"{os.path.basename(given.src)}: {problem}")
        return 1
    say("done", done)
    return 0
