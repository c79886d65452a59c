"""How every kernel is compiled: options, lazy compilation, binding.

A kernel is declared with :func:`kernel` and an explicit signature; it is compiled (or loaded from the cache) at its
first call, never at import.  :func:`device` declares a scalar function that kernels inline.
"""

from __future__ import annotations

import contextlib
import functools
import os
import threading
import types as types_of_python
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack
from typing import Any, TypeVar

import numba
import numpy as np
from numba.core import sigutils, types

from jit_kernels._cache import KernelCache, NoCache, cache_folder, self_contained
from jit_kernels._launch import LAUNCH, before_parallel, config, most_threads, start_threads, thread_count

__all__ = ["LAUNCH", "Kernel", "cache_folder", "describe", "device", "kernel", "recording", "thread_count"]

Function = TypeVar("Function", bound=Callable[..., Any])

# Full fastmath lets LLVM assume that NaN and infinities never occur; these five flags do not.
FASTMATH = {"nsz", "arcp", "contract", "afn", "reassoc"}
OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": FASTMATH, "error_model": "numpy"}
UNCOUNTED: dict[str, Any] = {
    "_nrt": False
}  # without numba's memory manager, which counts the references of every slice

Watcher = Callable[[str], AbstractContextManager[Any]]
_watcher: list[Watcher] = []
READY: dict[str, bool] = {}  # the kernels of this process, and whether they had to be compiled in it


def watch_compiling(watcher: Watcher) -> None:
    """Enter ``watcher(kernel name)`` from now on while a kernel is compiled; loading one is not worth a word."""
    _watcher[:] = [watcher]


class Kernel:
    """A compiled function: compiled for one signature at its first call, launched one at a time."""

    def __init__(
        self, name: str, function: Callable[..., Any], signature: str, parallel: bool, writes: int, counted: bool
    ) -> None:
        self.name, self.signature = name, signature
        self._options = OPTIONS if counted else OPTIONS | UNCOUNTED
        self._function, self._parallel, self._writes = function, parallel, writes
        self._dispatchers: dict[bool, Any] = {}
        functools.update_wrapper(self, function)

    def _dispatcher(self, parallel: bool) -> Any:
        """Compile the kernel, or load it from the cache, at the first call."""
        if parallel in self._dispatchers:
            return self._dispatchers[parallel]
        name, folder = self.name if parallel else f"{self.name}-serial", cache_folder()
        dispatcher = numba.njit(parallel=parallel, **self._options)(_called(name, self._function))
        if not config.DISABLE_JIT:
            if parallel:
                before_parallel()
            with ExitStack() as stack, self_contained(name):

                def announce() -> None:
                    READY[name] = True
                    for watcher in _watcher:
                        stack.enter_context(watcher(name))

                READY[name] = False
                dispatcher._cache = NoCache(announce) if folder is None else KernelCache(folder, name, announce)
                dispatcher.compile(self._argument_types)
            dispatcher.disable_compile()
        self._dispatchers[parallel] = dispatcher
        return dispatcher

    @functools.cached_property
    def _argument_types(self) -> tuple[Any, ...]:
        return _readonly_inputs(self.signature, self._writes)

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
        expected = self._argument_types
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


def _called(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Give a function that numba names after the kernel: many kernels are closures of one factory."""
    if config.DISABLE_JIT:
        return function
    made = types_of_python.FunctionType(
        function.__code__, function.__globals__, function.__name__, function.__defaults__, function.__closure__
    )
    made.__qualname__, made.__doc__, made.__kwdefaults__ = name, function.__doc__, function.__kwdefaults__
    return made


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
    signature: str, *, name: str | None = None, parallel: bool = True, writes: int = 1, counted: bool = True
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
    counted
        Whether numba counts references of arrays: an atomic operation for a slice that it cannot do without.  Functions
        that give arrays, ``carray`` among them, need it.
    """
    return lambda function: Kernel(name or function.__name__, function, signature, parallel, writes, counted)


def device(function: Function) -> Function:
    """Declare a function that kernels call and LLVM inlines; it may take arrays, but not give any."""
    return numba.njit(**OPTIONS, **UNCOUNTED)(function)  # type: ignore[no-any-return]  # numba gives no types


def describe() -> dict[str, str]:
    """Say what kernels run on: CPU and its features, threads, threading layer, cache folder."""
    import llvmlite.binding as llvm

    features = llvm.get_host_cpu_features()
    vector = [name for name in ("avx512f", "avx2", "fma", "neon") if features.get(name)]
    layer = start_threads() or "none"
    folder = cache_folder()
    return {
        "cpu": f"{llvm.get_host_cpu_name()}, {os.cpu_count()} cores, {', '.join(vector) or 'no vector units known'}",
        "threads": f"{thread_count()} of {most_threads()} (NUMBA_NUM_THREADS sets how many there can be)",
        "threading layer": layer + (" (slow to launch: install libgomp)" if layer == "workqueue" else ""),
        "kernel cache": f"{folder}, {len(list(folder.glob('*.nbi')))} kernels" if folder else "none",
    }
