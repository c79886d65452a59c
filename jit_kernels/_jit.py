"""How every kernel is compiled: options, lazy compilation, the private cache folder, the launch lock.

A kernel is declared with :func:`kernel` and an explicit signature; it is compiled (or loaded from the cache) at its
first call, never at import.  :func:`device` declares a scalar function that kernels inline.
"""

from __future__ import annotations

import contextlib
import functools
import hashlib
import os
import stat
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numba
import numpy as np
from numba import prange
from numba.core import caching, sigutils, types
from numba.core import config as _config
from numba.np.ufunc.parallel import threading_layer

Function = TypeVar("Function", bound=Callable[..., Any])

config: Any = _config  # numba fills its attributes in from the environment

# Full fastmath lets LLVM assume that NaN and infinities never occur; these five flags do not.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}

# The workqueue threading layer aborts the process when two threads launch parallel kernels at once, and layers may
# change from one machine to the next: one launch at a time, whatever the layer.
LAUNCH = threading.RLock()


@functools.cache
def cache_folder() -> Path | None:
    """Give the folder of compiled kernels, or None (with a warning) if no private one can be had.

    Numba does not notice edits in a file that a kernel's own file imports, so the folder's name is a digest of all
    kernel sources, the numba version and the settings that change the code.  Entries are pickles: the folder must be
    the user's own and closed to everybody else.
    """
    digest = hashlib.sha256()
    for source in sorted(Path(__file__).parent.rglob("*.py")):
        digest.update(source.name.encode() + b"\0" + source.read_bytes() + b"\0")
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
    def __init__(self, folder: Path, name: str) -> None:
        self._lineno = 0
        self._locator = _FolderLocator(folder, name)
        self._filename_base = self.get_filename_base(name, "")


class _KernelCache(caching.Cache):
    """A cache whose entries are keyed by kernel name and signature, and where a damaged entry is a miss."""

    def __init__(self, folder: Path, name: str) -> None:
        self._name = name
        self._impl = _KernelCacheImpl(folder, name)
        self._cache_path = str(folder)
        self._cache_file = caching.IndexDataCacheFile(
            cache_path=self._cache_path, filename_base=self._impl.filename_base, source_stamp="folder"
        )
        self.enable()

    def _index_key(self, sig: Any, codegen: Any) -> tuple[Any, ...]:
        return sig, codegen.magic_tuple()

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception:  # whatever a damaged pickle raises: the kernel is compiled again
            self.flush()
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            warnings.warn(f"kernel {self._name} is not cached: {error}", RuntimeWarning, stacklevel=2)


class Kernel:
    """A compiled function: compiled for one signature at its first call, launched one at a time."""

    def __init__(self, name: str, function: Callable[..., Any], signature: str, parallel: bool, writes: int) -> None:
        self.name, self.signature = name, signature
        self._function, self._parallel, self._writes = function, parallel, writes
        self._dispatchers: dict[bool, Any] = {}
        functools.update_wrapper(self, function)

    def _dispatcher(self, parallel: bool) -> Any:
        """Compile the kernel, or load it from the cache, at the first call."""
        if parallel in self._dispatchers:
            return self._dispatchers[parallel]
        dispatcher = numba.njit(parallel=parallel, **OPTIONS)(self._function)
        if not config.DISABLE_JIT:
            folder = cache_folder()
            if folder is not None:
                dispatcher._cache = _KernelCache(folder, self.name if parallel else f"{self.name}-serial")
            dispatcher.compile(_readonly_inputs(self.signature, self._writes))
            dispatcher.disable_compile()
        self._dispatchers[parallel] = dispatcher
        return dispatcher

    def __call__(self, *arguments: Any) -> None:
        """Run the kernel; arguments must have exactly the types of the signature (TypeError otherwise)."""
        record = getattr(_recorder, "launches", None)
        if record is not None:
            record.append((self, arguments))
            return
        with LAUNCH:
            self._dispatcher(self._parallel)(*arguments)

    def bind(self, arguments: Sequence[Any], parallel: bool) -> Callable[[], None]:
        """Give a call with these arguments, whose types are checked here, once; run it while holding ``LAUNCH``.

        Parameters
        ----------
        arguments
            As for a call; the arrays are kept, and what they hold at the time of each call counts.
        parallel
            Whether to run on several threads.  Small work is faster on one: a parallel region costs microseconds.
        """
        parallel = parallel and self._parallel
        if config.DISABLE_JIT:
            return functools.partial(self._function, *arguments)
        with LAUNCH:
            dispatcher = self._dispatcher(parallel)
        expected = _readonly_inputs(self.signature, self._writes)
        if len(arguments) != len(expected) or not all(map(_fits, arguments, expected)):
            raise TypeError(f"kernel {self.name} takes {expected}, got {[numba.typeof(a) for a in arguments]}")
        (compiled,) = dispatcher.overloads.values()
        return functools.partial(compiled.entry_point, *arguments)


_recorder = threading.local()


@contextlib.contextmanager
def recording() -> Iterator[list[tuple[Kernel, tuple[Any, ...]]]]:
    """Take down the kernels that this thread calls, with their arguments, instead of running them."""
    _recorder.launches = []
    try:
        yield _recorder.launches
    finally:
        _recorder.launches = None


def _fits(argument: Any, expected: Any) -> bool:
    """Tell whether an argument has the type of a signature."""
    if not isinstance(expected, types.Array):
        return not isinstance(argument, np.ndarray)
    return (
        isinstance(argument, np.ndarray)
        and numba.from_dtype(argument.dtype) == expected.dtype
        and argument.ndim == expected.ndim
        and argument.flags.c_contiguous
        and argument.flags.aligned
        and (argument.flags.writeable or not expected.mutable)
    )


def _readonly_inputs(signature: str, writes: int) -> tuple[Any, ...]:
    """Give the argument types of a signature, with every array read-only but the last ``writes`` ones.

    Such an array may be one that the caller must not change (a weight, a memory-mapped input), and the compiler refuses
    a kernel that writes into it.
    """
    arguments, _ = sigutils.normalize_signature(signature)
    inputs, outputs = arguments[:-writes], arguments[-writes:]
    return (*(kind.copy(readonly=True) if isinstance(kind, types.Array) else kind for kind in inputs), *outputs)


def kernel(
    signature: str, *, name: str | None = None, parallel: bool = True, writes: int = 1
) -> Callable[[Function], Kernel]:
    """Declare a kernel: a function that writes its last arguments and returns nothing.

    Parameters
    ----------
    signature
        Numba signature, e.g. ``"void(f4[:,::1], f4[::1], f4[:,::1])"``.
    name
        The kernel's unique name; the function's own unless it is made by a factory.
    parallel
        Whether ``prange`` loops run on several threads.
    writes
        How many arguments are written: the result, and scratch memory before it.
    """
    return lambda function: Kernel(name or function.__name__, function, signature, parallel, writes)


def device(function: Function) -> Function:
    """Declare a scalar function that kernels call and LLVM inlines."""
    return numba.njit(**OPTIONS)(function)  # type: ignore[no-any-return]  # numba gives no types


def describe() -> dict[str, str]:
    """Say what kernels run on: CPU and its features, threads, threading layer, cache folder."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    vector = [name for name in ("avx512f", "avx2", "fma", "neon") if features.get(name)]
    try:
        _probe()  # the layer is chosen at the first parallel launch
        layer = str(threading_layer())
    except ValueError as error:
        layer = f"none ({error})"
    folder = cache_folder()
    return {
        "cpu": f"{llvm.get_host_cpu_name()}, {os.cpu_count()} cores, {', '.join(vector) or 'no vector units known'}",
        "threads": f"{numba.get_num_threads()} (NUMBA_NUM_THREADS sets another number)",
        "threading layer": layer + (" (slow to launch: install libgomp)" if layer == "workqueue" else ""),
        "kernel cache": f"{folder}, {len(list(folder.glob('*.nbi')))} kernels" if folder else "none",
    }


def _probe() -> None:
    """Launch the smallest parallel kernel."""
    out = np.empty(1, np.float32)
    _fill(out)


@kernel("void(f4[::1])", name="probe")
def _fill(out: Any) -> None:
    """Write zeros; parallel over elements."""
    for i in prange(out.size):
        out[i] = 0


def thread_count() -> int:
    """Give the number of threads that parallel kernels use."""
    return int(numba.get_num_threads())
