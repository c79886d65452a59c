"""Compiling takes seconds: where somebody watches standard error, a line there says so, and goes away afterwards."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jit_kernels._jit import watch_compiling

if TYPE_CHECKING:  # not needed where nobody watches
    from rich.progress import Progress

MESSAGE = "compiling kernels, first run only"

_bar: Progress | None = None  # on the terminal, which holds one at a time


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
        if _bar is not None:
            task = _bar.task_ids[0]
            before = _bar.tasks[0].description
            _bar.update(task, description=f"{MESSAGE}: {self._count}, {kernel}", refresh=True)
            yield
            _bar.update(task, description=before, refresh=True)
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


@contextmanager
def counting(total: int, what: str) -> Iterator[Callable[[int], None]]:
    """Show a bar on standard error, if that is a terminal, while something is done.

    Parameters
    ----------
    total
        Number of things to do.
    what
        Their name.

    Yields
    ------
    A function to call with the number of things done so far.
    """
    global _bar  # noqa: PLW0603  # one terminal
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda done: None
        return
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn()
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, redirect_stdout=False, redirect_stderr=False) as progress:
        task = progress.add_task(what, total=total)
        _bar = progress
        try:
            yield lambda done: progress.update(task, completed=done)
        finally:
            _bar = None


@contextmanager
def show_status(first: str) -> Iterator[Callable[[str], None]]:
    """Show on a terminal what is being done, and give what changes that; nothing is shown anywhere else."""
    if sys.stderr is None or not sys.stderr.isatty():
        yield lambda text: None
        return
    from rich.console import Console
    from rich.markup import escape

    with Console(stderr=True).status(first) as status:
        yield lambda text: status.update(escape(text))
