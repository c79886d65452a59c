"""HDF5 files of strangers: links, storage elsewhere, bombs, odd types, circles, filters, many groups."""

from __future__ import annotations

import json
import re
import struct
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from keydnn.errors import KerasInteropError
from tests.convert import files
from tests.hostile.kind import BOMBS, CRASHES, CYCLES, FILTERS, LINKS, READS, Hostile

KERNEL = "model_weights/d/d/kernel:0"
Change = Callable[[h5py.File, Path], None]


def model(path: Path, change: Change | None = None, secret: Path = Path(), **options: Any) -> Path:
    """Write a valid model of one Dense layer, and change it."""
    files.write_h5(path, files.sequential(files.dense()), {"d": files.dense_weights()})
    if change:
        with h5py.File(path, "a", **options) as file:
            change(file, secret)
    return path


def changed(change: Change, path: Path, secret: Path) -> None:
    model(path, change, secret)


def kernel(make: Callable[[h5py.Group, str, Path], object], file: h5py.File, secret: Path) -> None:
    """Put something else in the place of the kernel."""
    del file[KERNEL]
    make(file["model_weights/d/d"], "kernel:0", secret)


def at(place: str, link: Callable[[Path], Any], file: h5py.File, secret: Path) -> None:
    """Put a link in a place."""
    del file[place]
    file[place] = link(secret)


# --- elsewhere --------------------------------------------------------------------------------------------------------


def external_storage(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (4, 3), "f4", external=[(str(secret), 0, 48)])


def virtual(group: h5py.Group, name: str, secret: Path) -> None:
    layout = h5py.VirtualLayout((4, 3), "f4")
    layout[:] = h5py.VirtualSource(str(secret), "kernel", (4, 3))
    group.create_virtual_dataset(name, layout)


def external_link(secret: Path) -> Any:
    return h5py.ExternalLink(str(secret), "/kernel")


def soft_link(secret: Path) -> Any:
    return h5py.SoftLink("/model_weights/d/d/bias:0")


def far_link(secret: Path) -> Any:
    """A soft link that goes through an external one."""
    return h5py.SoftLink("/away/kernel")


def through_a_link(file: h5py.File, secret: Path) -> None:
    file["away"] = h5py.ExternalLink(str(secret), "/")
    at(KERNEL, far_link, file, secret)


# --- bombs ------------------------------------------------------------------------------------------------------------


def gzip_bomb(group: h5py.Group, name: str, secret: Path) -> None:
    """4 GiB, of which nothing is there."""
    group.create_dataset(name, (1 << 15, 1 << 15), "f4", chunks=(1024, 1024), compression="gzip")


def never_written(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (1 << 15, 1 << 15), "f4")


def too_many(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (1 << 40,), "f4", chunks=(1 << 20,))


def endless(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (1 << 40, 1 << 40, 0), "f4", chunks=(1, 1, 1), maxshape=(None, None, None))


def bomb_that_fits(path: Path, secret: Path) -> None:
    """The configuration asks for it, and the header promises it: only the bytes are not there."""
    files.write_h5(path, files.sequential(files.dense(units=1 << 28)), {"d": files.dense_weights()})
    with h5py.File(path, "a") as file:
        for name, shape in (("kernel:0", (4, 1 << 28)), ("bias:0", (1 << 28,))):
            group = file["model_weights/d/d"]
            del group[name]
            chunks = (*shape[:-1], 1 << 20)
            group.create_dataset(name, shape, "f4", chunks=chunks, compression="gzip", fillvalue=0)


def many_references(path: Path, secret: Path) -> None:
    """An attribute of 4,000 texts, all of them the same million bytes."""
    model(path)
    with h5py.File(path, "a") as file:
        del file["model_weights"].attrs["layer_names"]
        texts = np.array(["x" * (1 << 20), *(f"y{place}" for place in range(3999))], object)
        file["model_weights"].attrs.create("layer_names", texts, dtype=h5py.string_dtype())
    content = bytearray(path.read_bytes())
    found = re.search(struct.pack("<I", 1 << 20) + b".{12}" + struct.pack("<I", 2), content, re.DOTALL)
    first, one = found.start(), found[0][:16]
    content[first : first + 16 * 4000] = one * 4000
    path.write_bytes(content)


def long_configuration(path: Path, secret: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["model_config"] = json.dumps(files.sequential(files.dense())) + " " * (17 << 20)


def huge_attribute(path: Path, secret: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        file.attrs["model_config"] = np.zeros((65 << 20,), "S1")


# --- what is no array of numbers --------------------------------------------------------------------------------------

ODD_TYPES: dict[str, Any] = {
    "object-references": h5py.ref_dtype,
    "region-references": h5py.regionref_dtype,
    "lists": h5py.vlen_dtype(np.float32),
    "texts": h5py.string_dtype(),
    "fixed-texts": np.dtype("S4"),
    "records": np.dtype([("a", "f4"), ("b", "i8")]),
    "opaque": np.dtype("V7"),
    "arrays": np.dtype(("f4", (2,))),
    "complex": np.dtype("c8"),
    "booleans": np.dtype("?"),
    "named-integers": h5py.enum_dtype({"a": 0, "b": 1}, "i1"),
    "long-doubles": np.dtype("longdouble"),
}


def odd_type(dtype: Any, group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (4, 3), dtype)[...] = np.zeros((4, 3), dtype)


def empty(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, data=h5py.Empty("f4"))


def named_type(group: h5py.Group, name: str, secret: Path) -> None:
    group[name] = np.dtype("f4")


def a_group(group: h5py.Group, name: str, secret: Path) -> None:
    group.create_group(name)


def odd_attribute(value: Any, file: h5py.File, secret: Path) -> None:
    file["model_weights/d"].attrs["weight_names"] = value(file) if callable(value) else value


def reference(file: h5py.File) -> Any:
    return file[KERNEL].ref


# --- circles and crowds -----------------------------------------------------------------------------------------------


def twice(file: h5py.File, secret: Path) -> None:
    del file["model_weights/d/d/bias:0"]
    file["model_weights/d/d/bias:0"] = file[KERNEL]


def own_parent(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = np.zeros((4, 3), "f4")
        file["layers/dense/loop"] = file["/"]


def layer_twice(path: Path, secret: Path) -> None:
    weights = {"d": files.dense_weights(), "e": files.dense_weights(3, 3)}
    files.write_h5(path, files.sequential(files.dense(), files.dense("e")), weights)
    with h5py.File(path, "a") as file:
        del file["model_weights/e"]
        file["model_weights/e"] = file["model_weights/d"]


def deep(path: Path, secret: Path) -> None:
    with h5py.File(path, "w") as file:
        group = file
        for _ in range(3000):
            group = group.create_group("g")
        group["w"] = np.zeros(3, "f4")


def deep_names(path: Path, secret: Path) -> None:
    """One group, whose name is a path of 20,000 steps on Windows."""
    with h5py.File(path, "w", libver="latest") as file:
        file["layers\\" + "\\".join("ab" * 10_000)] = np.zeros(3, "f4")


def many_groups(path: Path, secret: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(500):
            file.create_group(f"g{number}")


def many_windows_groups(path: Path, secret: Path) -> None:
    with h5py.File(path, "w", libver="latest") as file:
        for number in range(500):
            file.create_group(f"layers\\g{number}")


# --- filters ----------------------------------------------------------------------------------------------------------


def filtered(code: int, group: h5py.Group, name: str, secret: Path) -> None:
    """Name a filter that comes as a plugin, if at all."""
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((4, 3))
    settings.set_filter(code, h5py.h5z.FLAG_OPTIONAL, (1,))
    space = h5py.h5s.create_simple((4, 3))
    made = h5py.h5d.create(group.id, name.encode(), h5py.h5t.IEEE_F32LE, space, settings)
    made.write(h5py.h5s.ALL, h5py.h5s.ALL, np.ones((4, 3), "f4"))


def filter_unknown(path: Path, secret: Path) -> None:
    """Data that were written with a filter that is nowhere: its number takes that of gzip's place in the file."""
    model(path, partial(kernel, partial(built_in, {"compression": "gzip", "chunks": (4, 3)})))
    content = path.read_bytes()
    name = content.index(b"deflate\0")
    path.write_bytes(content[: name - 8] + struct.pack("<H", 32015) + content[name - 6 :])


def built_in(options: dict[str, Any], group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, data=np.ones((4, 3), "f4"), **options)


# --- damage -----------------------------------------------------------------------------------------------------------


def user_block(path: Path, secret: Path) -> None:
    with h5py.File(path, "w", userblock_size=512) as file:
        file.attrs["model_config"] = "{}"


def names(attribute: str, value: str, path: Path, secret: Path) -> None:
    """Name a layer or a weight like a file."""
    value = value.replace("SECRET", str(secret))
    if attribute == "layer":
        config = files.sequential(files.dense(value))
        with h5py.File(path, "w") as file:
            file.attrs["model_config"] = json.dumps(config)
            file.create_group("model_weights").attrs["layer_names"] = [value.replace("\0", "0")]
        return
    model(path)
    with h5py.File(path, "a") as file:
        file["model_weights/d"].attrs["weight_names"] = [value.replace("\0", "0"), "d/bias:0"]


def training(path: Path, secret: Path) -> None:
    """Code where only training would look."""
    model(path)
    with h5py.File(path, "a") as file:
        file.attrs["training_config"] = json.dumps(
            {"loss": {"class_name": "function", "module": "os", "config": "system"}}
        )
        file["optimizer_weights/again"] = h5py.ExternalLink(str(secret), "/")


def _files() -> Iterator[tuple[str, Hostile]]:
    def h5(row: str, write: Any, says: str | None, error: Any = KerasInteropError, **options: Any) -> Hostile:
        return Hostile(row, write, "m.h5", says, error, options or None)

    def data(row: str, make: Any, says: str) -> Hostile:
        return h5(row, partial(changed, partial(kernel, make)), says)

    yield "external-storage", data(LINKS, external_storage, "takes its data from another file")
    yield "virtual-dataset", data(LINKS, virtual, "takes its data from another file")
    for place in (KERNEL, "model_weights/d/d", "model_weights/d", "model_weights"):
        short = place.rpartition("/")[2].replace(":", "-")
        for link, says in ((external_link, "an external link"), (soft_link, "a soft link")):
            yield (
                f"{link.__name__.replace('_', '-')}-{short}",
                h5(LINKS, partial(changed, partial(at, place, link)), says),
            )
    yield "soft-link-through-external-link", h5(LINKS, partial(changed, through_a_link), "a soft link")
    for make in (gzip_bomb, never_written, too_many):
        yield make.__name__.replace("_", "-"), data(BOMBS, make, r"declares [\d,]+ bytes|max-weights")
    yield "size-0-times-2-to-the-80", data(BOMBS, endless, "holds no numbers|has shape")
    yield "bomb-that-fits", h5(BOMBS, bomb_that_fits, r"declares [\d,]+ bytes")
    yield "text-4000-times", h5(BOMBS, many_references, "memory|died of it|cannot|damaged|did not answer")
    yield "configuration-of-17-mib", h5(BOMBS, long_configuration, "bytes outside of text|more than")
    yield "attribute-of-65-mib", h5(BOMBS, huge_attribute, "is larger than 64 MiB")
    for name, dtype in ODD_TYPES.items():
        made = partial(odd_type, dtype)
        if name in ("object-references", "region-references", "lists", "texts"):
            made = partial(_unfilled, dtype)
        yield f"kernel-of-{name}", data(CRASHES, made, "holds no numbers|only floating|takes its data|holds 0")
    yield "kernel-without-space", data(CRASHES, empty, "holds no numbers")
    yield "kernel-is-a-type", data(CRASHES, named_type, "is not a dataset")
    yield "kernel-is-a-group", data(CRASHES, a_group, "is not a dataset")
    attributes: dict[str, Any] = {
        "reference": reference, "number": 3, "numbers": np.ones(3), "nan": np.float32("nan"),
        "record": np.zeros((), [("a", "f4")]), "opaque": np.void(b"abc"), "complex": np.complex64(1j),
        "not-utf-8": np.array([b"\xff\xfe"]), "nothing": h5py.Empty("f4"), "bytes-of-zero": np.array([b"d\0/../x"]),
    }  # fmt: skip
    for name, value in attributes.items():
        yield f"weight-names-{name}", h5(CRASHES, partial(changed, partial(odd_attribute, value)), "")
    yield "one-array-twice", h5(CYCLES, partial(changed, twice), "under two names")
    yield "one-group-twice", h5(CYCLES, layer_twice, "under two names")
    yield "group-in-itself", h5(CYCLES, own_parent, "under two names")
    architecture = json.dumps(files.keras3_sequential(files.dense()))
    yield "group-in-itself-of-a-layer", h5(CYCLES, own_parent, "under two names", architecture=architecture)
    yield "groups-3000-deep", h5(CYCLES, deep, "lies deeper than")
    yield "names-20000-deep", h5(CYCLES, deep_names, "lies deeper than")
    yield "groups-500", h5(CYCLES, many_groups, "no model_config and no weights")
    yield "windows-groups-500", h5(CYCLES, many_windows_groups, "no model_config and no weights")
    for code in (32015, 32001, 307, 32000):
        yield f"filter-{code}", data(FILTERS, partial(filtered, code), f"compressed with filter {code}")
    yield "filter-unknown", h5(FILTERS, filter_unknown, "compressed with filter 32015")
    yield "filter-lzf", data(FILTERS, partial(built_in, {"compression": "lzf"}), "compressed with filter 32000")
    yield "filter-scale-offset", data(FILTERS, partial(built_in, {"scaleoffset": 2}), "compressed with filter 6")
    yield "user-block", h5(CRASHES, user_block, "neither HDF5 nor")
    yield "code-for-training", h5(READS, training, None)
    for name in ("../x", "a/../../b", "SECRET", "a\0b", "n" * 300, "/" * 300, "a/" * 300 + "b", "."):
        yield f"layer-{_word(name)}", h5(READS, partial(names, "layer", name), "")
        yield f"weight-{_word(name)}", h5(READS, partial(names, "weight", name), "")


def _unfilled(dtype: Any, group: h5py.Group, name: str, secret: Path) -> None:
    group.create_dataset(name, (4, 3), dtype)


def _word(name: str) -> str:
    return repr(name)[1:9].replace("/", "|").replace("\\", "|")


FILES = dict(_files())
