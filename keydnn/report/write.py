"""The report of a conversion as a file, in the form that its name asks for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from keydnn.atomic import replace_file
from keydnn.errors import InputError
from keydnn.report.data import Report
from keydnn.report.document import report_json
from keydnn.report.markdown import report_markdown
from keydnn.report.page import report_html

WRITERS: dict[str, Callable[[Report], str]] = {".html": report_html, ".md": report_markdown, ".json": report_json}


def write_report(path: Path, report: Report) -> None:
    """Write a report; the ending of the name is one of ``WRITERS``."""
    replace_file(path, [WRITERS[path.suffix](report).encode("utf-8", "backslashreplace")], InputError)
