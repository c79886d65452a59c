"""The command line: one function a verb.  Fire finds and calls them; ``commandline.py`` keeps its traps away.

Verbs import what they need when they are called.
"""

from __future__ import annotations

from collections.abc import Callable

from keydnn.cli.comparing import compare, evaluate, record, verify
from keydnn.cli.exporting import export
from keydnn.cli.importing import convert, inspect
from keydnn.cli.running import demo, info, profile, run, warmup

VERBS: dict[str, Callable[..., None]] = {
    verb.__name__: verb
    for verb in (convert, run, export, evaluate, compare, inspect, profile, record, verify, warmup, info, demo)
}
