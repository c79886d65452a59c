"""Compiling takes seconds: where somebody watches standard error, a line there says so, and goes away afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from jit_kernels._jit import watch_compiling

MESSAGE = "compiling kernels, first run only"


class CompileProgress:
    """What to show while kernels are compiled: on a terminal the kernel, its number and the time; never on stdout.

    Parameters
    ----------
    command
        Whether this is the command line, which says it once where standard error is no terminal; a library is silent
        there.
    """

    def __init__(self, command: bool = False) -> None:
        self._command, self._count, self._start = command, 0, 0.0

    @contextmanager
    def __call__(self, kernel: str) -> Iterator[None]:
        """Show that a kernel is compiled, until it is."""
        self._count += 1
        if self._count == 1:
            self._start = time.monotonic()
        if sys.stderr is None or not sys.stderr.isatty():
            if self._command and self._count == 1:
                print(f"keydnn: {MESSAGE}", file=sys.stderr, flush=True)
            yield
            return
        from rich.console import Console
        from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

        columns = SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()
        console = Console(stderr=True)
        with Progress(
            *columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False
        ) as progress:
            task = progress.add_task(f"{MESSAGE}: {self._count}, {kernel}", total=None)
            progress.tasks[task].start_time = self._start
            yield


def show_compiling(command: bool = False) -> None:
    """Show from now on that kernels are compiled (see :class:`CompileProgress`)."""
    watch_compiling(CompileProgress(command))
