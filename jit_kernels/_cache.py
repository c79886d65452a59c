"""Compiled kernels on disk: the private folder, and numba's cache made faster to load and safe against damage."""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import pickle
import stat
import sys
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import llvmlite.binding as llvm
import numba
from numba.core import caching, codegen
from numba.core.runtime import _nrt_python  # type: ignore[attr-defined]  # written in C

from jit_kernels._launch import config


@functools.cache
def cache_folder() -> Path | None:
    """Give the folder of compiled kernels, or None (with a warning) if no private one can be had.

    Numba does not notice edits in a file that a kernel's own file imports, so the folder's name is a digest of all
    kernel sources, the numba version and the settings that change the code.  Entries are pickles: the folder must be
    the user's own and closed to everybody else.
    """
    digest, here = hashlib.sha256(), Path(__file__).parent
    for source in sorted(here.rglob("*.py")):
        digest.update(source.relative_to(here).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    settings = (
        numba.__version__,
        sys.implementation.cache_tag,
        config.BOUNDSCHECK,
        config.CPU_NAME,
        config.CPU_FEATURES,
    )
    digest.update(repr(settings).encode())
    root = os.environ.get("KEYDNN_CACHE_DIR") or os.path.join(
        os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache"), "keydnn"
    )
    folder = Path(root) / f"kernels-{digest.hexdigest()[:16]}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = folder.stat()
        if hasattr(os, "getuid") and found.st_uid != os.getuid():
            raise PermissionError("it belongs to another user")
        if os.name == "posix" and stat.S_IMODE(found.st_mode) & 0o022:
            raise PermissionError("others may write into it; chmod 700 it")
        if not os.access(folder, os.W_OK | os.X_OK):
            raise PermissionError("it is not writable")
    except OSError as error:
        reason = error.args[0] if len(error.args) == 1 else error.strerror
        warnings.warn(
            f"kernels are compiled anew in this process: the cache folder {folder} cannot be used: {reason} "
            "(set KEYDNN_CACHE_DIR to a private folder)",
            RuntimeWarning,
            stacklevel=2,
        )
        return None
    return folder


SHARED = (llvm.Linkage.linkonce_odr, llvm.Linkage.weak_odr)  # of functions that come from other compilations


@contextlib.contextmanager
def self_contained(name: str) -> Iterator[None]:
    """Meanwhile, what numba compiles under this name keeps the functions that it calls to itself.

    numba names a function after its definition, its types and how many it has compiled in the process before.  So two
    closures of one factory, compiled in two processes, can have one name; and a third process that loads the code of
    both from the cache runs the first one for both.
    """
    library: Any = codegen.JITCodeLibrary
    optimize = library._optimize_final_module

    def keep_to_itself(self: Any) -> None:
        if self.name == name:
            for function in self._final_module.functions:
                if not function.is_declaration and function.linkage in SHARED:
                    function.linkage = "internal"
        optimize(self)

    library._optimize_final_module = keep_to_itself
    try:
        yield
    finally:
        del library._optimize_final_module  # what it inherits counts again


SEAL = 32  # bytes of a SHA-256
ENVIRONMENT = "_ZN08NumbaEnv"  # how the names of environments begin, before the length of the module's name
_found: set[str] = set()  # names that LLVM knows


class _FolderLocator(caching._CacheLocator):
    """Numba's way to ask where a kernel's cache entries are."""

    def __init__(self, folder: Path, name: str) -> None:
        self._folder, self._py_file = str(folder), name

    def ensure_cache_path(self) -> None:
        """Do nothing: cache_folder() has made the folder."""

    def get_cache_path(self) -> str:
        """Give the folder."""
        return self._folder

    def get_source_stamp(self) -> str:
        """Give a constant: the folder's name already is the digest of the sources."""
        return "folder"

    def get_disambiguator(self) -> str:
        """Give a constant: kernel names are unique."""
        return "0"


class _KernelCacheImpl(caching.CompileResultCacheImpl):
    """What an entry holds: the names that the code must find, and numba's own record with hardly any bitcode."""

    def __init__(self, folder: Path, name: str) -> None:
        self._lineno = 0
        self._locator = _FolderLocator(folder, name)
        self._filename_base = self.get_filename_base(name, "")

    def reduce(self, result: Any) -> tuple[tuple[str, ...], tuple[Any, ...]]:
        """Leave out the bitcode, which serves to inline the kernel into others and takes long to read.

        All that linking asks of it is whether the code defines the function that Python calls.  Left out too are the
        environments of numba's own functions (min, max ...), for which it would import their modules; such a function
        reads its environment only to make Python objects.
        """
        (name, kind, (code, _)), *rest, environments = super().reduce(result)
        rest.append([one for one in environments if not one.env_name.startswith(f"{ENVIRONMENT}5numba")])
        module = result.library._final_module
        needed = sorted(f.name for f in module.functions if f.is_declaration and not f.name.startswith("llvm."))
        wrapper = result.fndesc.llvm_cpython_wrapper_name
        return tuple(needed), ((name, kind, (code, _only(wrapper))), *rest)

    def rebuild(self, target_context: Any, payload: tuple[tuple[str, ...], tuple[Any, ...]]) -> Any:
        """Link the code; without numba's registries of functions, which only compiling needs (a quarter second)."""
        needed, state = payload
        _add_runtime_symbols()
        if not _all_found(needed):
            target_context.refresh()
        if not _all_found(needed):  # LLVM would end the process
            raise LookupError(f"the code needs {needed}")
        return super().rebuild(target_context, state)


def _all_found(names: tuple[str, ...]) -> bool:
    _found.update(name for name in names if name not in _found and llvm.address_of_symbol(name))
    return _found.issuperset(names)


def _only(function: str) -> bytes:
    """Give the bitcode of a module that defines a function of this name and nothing else."""
    return bytes(llvm.parse_assembly(f'define void @"{function}"() {{ ret void }}').as_bitcode())


@functools.cache
def _add_runtime_symbols() -> None:
    """Tell LLVM where numba's runtime is; numba does so when it first compiles."""
    for name, address in _nrt_python.c_helpers.items():
        llvm.add_symbol(name if name.startswith("_") else f"NRT_{name}", address)


class _SealedFile(caching.IndexDataCacheFile):
    """Numba's files, each behind the SHA-256 of its name and content: machine code that was damaged must not run."""

    def _load_index(self) -> dict[Any, str]:
        try:
            return dict(self._sealed(self._index_path))
        except FileNotFoundError:
            return {}

    def _save_index(self, overloads: dict[Any, str]) -> None:
        self._seal(self._index_path, overloads)

    def _load_data(self, name: str) -> Any:
        return self._sealed(self._data_path(name))

    def _save_data(self, name: str, data: Any) -> None:
        self._seal(self._data_path(name), data)

    def _seal(self, path: str, value: Any) -> None:
        content = self._dump(value)
        with self._open_for_write(path) as file:
            file.write(_digest(path, content))
            file.write(content)

    @staticmethod
    def _sealed(path: str) -> Any:
        whole = memoryview(Path(path).read_bytes())
        if _digest(path, whole[SEAL:]) != whole[:SEAL]:
            raise ValueError(f"{path} is damaged")
        return pickle.loads(whole[SEAL:])


def _digest(path: str, content: bytes | memoryview) -> bytes:
    digest = hashlib.sha256(os.path.basename(path).encode() + b"\0")
    digest.update(content)
    return digest.digest()


class KernelCache(caching.Cache):
    """A cache whose entries are keyed by kernel name and signature, and where a damaged entry is a miss."""

    def __init__(self, folder: Path, name: str, on_miss: Callable[[], None]) -> None:
        self._name, self._on_miss = name, on_miss
        self._impl = _KernelCacheImpl(folder, name)
        self._cache_path = str(folder)
        self._cache_file = _SealedFile(
            cache_path=self._cache_path, filename_base=self._impl.filename_base, source_stamp="folder"
        )
        self.enable()

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        """Give the entry, or None, after which numba compiles."""
        try:
            found = self._load_overload(sig, target_context)
        except Exception:  # whatever a damaged pickle raises: the kernel is compiled again
            self.flush()
            found = None
        if found is None:
            self._on_miss()
        return found

    def save_overload(self, sig: Any, data: Any) -> None:
        """Keep what has been compiled."""
        try:
            super().save_overload(sig, data)
        except OSError as error:
            warnings.warn(f"kernel {self._name} is not cached: {error}", RuntimeWarning, stacklevel=2)


class NoCache(caching.NullCache):
    """Where there is no folder: every kernel is a miss."""

    def __init__(self, on_miss: Callable[[], None]) -> None:
        self._on_miss = on_miss

    def load_overload(self, sig: Any, target_context: Any) -> None:
        """Give None, after which numba compiles."""
        self._on_miss()
