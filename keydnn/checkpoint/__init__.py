"""Checkpoints: a graph with its weights as one JSON file, or as one JSON file and a safetensors file beside it.

Nothing else in the package opens a checkpoint.  The format is described in ``docs/checkpoint.md``.

::

    spot.py        a JSON value that knows its path, for errors that name the place
    tensors.py     weights <-> bytes, base64, safetensors, digests
    decode.py      JSON values -> Graph        earlier.py   the same for format v1
    encode.py      Graph -> JSON lines         document.py  what both sides share
    check.py       the example it carries, and what a reference computed of it
    files.py       bounded reading (writing is keydnn.atomic's)
"""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from keydnn import atomic
from keydnn.checkpoint import decode, earlier, encode, files, tensors
from keydnn.checkpoint.check import SelfCheck
from keydnn.checkpoint.document import FORMAT, JSON, Checkpoint
from keydnn.checkpoint.spot import Spot, parse, show
from keydnn.errors import CheckpointError
from keydnn.graph import Graph
from keydnn.modules.base import Array, choice
from keydnn.strict_json import STRUCTURE_LIMIT

__all__ = ["FORMAT", "JSON", "Checkpoint", "read", "write"]

DOCUMENT_LIMIT = tensors.WEIGHTS_LIMIT // 3 * 4 + 4 * STRUCTURE_LIMIT  # all weights in base64, and room for the rest


def write(
    graph: Graph,
    path: str | os.PathLike[str],
    *,
    weights: Literal["inline", "sidecar"] = "inline",
    source: Mapping[str, JSON] | None = None,
    check: SelfCheck | None = None,
) -> None:
    """Write a graph and its weights; the same graph gives the same bytes on every machine.

    Whatever interrupts it, the file holds either what it held before or the whole new checkpoint.  Two processes must
    not write the same checkpoint with a sidecar at the same time.

    Parameters
    ----------
    graph
        The graph; every module has its weights.
    path
        The JSON file; replaced if it exists.
    weights
        ``"inline"``: base64 in the JSON file.  ``"sidecar"``: in a file of the same name that ends in
        ``.safetensors``, which is a third smaller and read faster.
    source
        What is known about where the model came from, as JSON.
    check
        An example and what the graph gives for it, to be replayed by ``keydnn.verify``.

    Raises
    ------
    MissingWeightsError
        A module has no weights.
    CheckpointError
        A file cannot be written, or the graph holds what checkpoints cannot.
    """
    choice("weights", weights, ("inline", "sidecar"))
    path = Path(path)
    if not path.name or "\0" in path.name:
        raise CheckpointError(
            f"{str(path)!r}: is no file name; give the name of the JSON file to write, such as model.json"
        )
    arrays = encode.named_tensors(graph)
    if weights == "sidecar":
        _write_with_sidecar(graph, path, arrays, source, check)
        return
    document = encode.describe(str(path), graph, source, arrays, None, check)
    atomic.replace_file(path, encode.lines(document, arrays), CheckpointError)


def _write_with_sidecar(
    graph: Graph,
    path: Path,
    arrays: Mapping[str, Array],
    source: Mapping[str, JSON] | None,
    check: SelfCheck | None,
) -> None:
    """Write two files as if at one stroke.

    Both cannot be renamed at once.  So the new sidecar is put under a pending name first, where it disturbs nothing;
    then the new JSON file takes the place of the old one, and from this moment on the new checkpoint holds, because
    readers look under the pending name as well; last, the sidecar gets its name.
    """
    sidecar = path.with_suffix(".safetensors")
    if sidecar == path:
        raise CheckpointError(f"{path}: is the name of the sidecar itself; give the JSON file a name ending in .json")
    data = tensors.pack(arrays)
    digest = hashlib.sha256(data).hexdigest()
    pending = path.with_name(tensors.pending_name(sidecar.name, digest))
    names = {"file": sidecar.name, "sha256": digest}
    document = encode.describe(str(path), graph, source, arrays, names, check)
    needed = os.path.lexists(pending)  # an earlier, interrupted write of the same weights may still rely on it
    staged = atomic.stage(path, encode.lines(document, {}), CheckpointError)
    try:
        atomic.replace_file(pending, [data], CheckpointError)
        atomic.put(staged, path, CheckpointError)
    except BaseException:
        # Where the staged file is gone, it stands at its place already, and needs the pending one.
        if atomic.remove(staged) and not needed:
            atomic.remove(pending)
        raise
    atomic.flush_folder(path, CheckpointError)
    files.rename(pending, sidecar)
    atomic.remove_old(path, f"{glob.escape(sidecar.name)}.{'[0-9a-f]' * 16}")


def read(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint of this format or the earlier one; nothing in it is trusted.

    Parameters
    ----------
    path
        The JSON file.  A sidecar must lie in the same folder.

    Raises
    ------
    CheckpointError
        The file is no checkpoint, or is damaged, was edited, or does not make a model.
    MissingWeightsError
        A module's weights are not there.
    """
    path = Path(path)
    root = parse(str(path), files.read_bounded(path, DOCUMENT_LIMIT))
    form = _format(root)
    if form.value == earlier.FORMAT:
        return earlier.read(root)
    structure = decode.read_structure(root)
    if structure.sidecar is None:
        arrays = decode.inline_tensors(structure)
    else:
        name, digest = structure.sidecar["file"], structure.sidecar["sha256"].digest()
        arrays = tensors.read_sidecar(path.parent, name, digest, structure.shapes)
    return decode.assemble(structure, arrays)


def _format(root: Spot) -> Spot:
    """Find the document's format marker; say what the document is if it has none."""
    keys = root.value if isinstance(root.value, dict) else {}
    if "format" not in keys:
        if "class_name" in keys and "config" in keys:
            raise CheckpointError(
                f"{root.file}: is a Keras architecture without weights (model.to_json()) and no checkpoint; "
                "convert the Keras file that has the weights: keydnn convert --src ... --dst ... --architecture this"
            )
        raise CheckpointError(
            f"{root.file}: is JSON but no checkpoint: it has no format marker; "
            "give a file that keydnn convert --src ... --dst ... wrote"
        )
    form = root.entries()["format"]
    if form.text() not in (FORMAT, earlier.FORMAT):
        raise CheckpointError(
            f"{root.file}: format: {show(form.value)} is unknown; this KeyDNN reads {FORMAT} and {earlier.FORMAT}; "
            "update KeyDNN, or convert the Keras model again (keydnn convert --src ... --dst ...)"
        )
    return form
