"""What a process does while it reads hostile files, by Python's audit events: run by ``test_audit.py``.

``python -m tests.hostile.audit FOLDER`` writes all hostile files, reads them, and prints what it must not have done.
With ``sitecustomize`` in front of it, the process of the HDF5 library reports to the file in ``KEYDNN_AUDIT`` as well.
"""

from __future__ import annotations

import os
import sys
from collections import Counter
from pathlib import Path
from types import CodeType
from typing import Any

FORBIDDEN = (
    "os.system", "os.exec", "os.posix_spawn", "os.fork", "os.forkpty", "os.spawn", "os.startfile", "pty.spawn",
    "socket.", "urllib.", "ftplib.", "http.", "ctypes.dlopen", "marshal.", "pickle.", "compile", "exec", "webbrowser.",
    "os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.chmod", "os.chown", "os.link", "os.symlink", "os.truncate",
    "shutil.", "tempfile.", "sqlite3.", "code.__new__", "function.__new__", "import",
)  # fmt: skip


class Watch:
    """Collects what must not happen, while ``on``."""

    def __init__(self, folders: tuple[str, ...], server: str) -> None:
        self.on, self.found, self.started = False, Counter[str](), 0
        self._folders, self._server = folders, server

    def __call__(self, event: str, arguments: tuple[Any, ...]) -> None:
        if not self.on:
            return
        if event == "open":
            self._opened(arguments[0])
        elif event == "subprocess.Popen":
            self._process(arguments)
        elif event.startswith(FORBIDDEN):
            said = arguments[0] if arguments else ""
            said = said.co_filename if isinstance(said, CodeType) else str(said)[:80]
            self.found[f"{event} {said}"] += 1

    def _opened(self, path: object) -> None:
        if isinstance(path, (str, bytes, os.PathLike)):
            place = os.path.abspath(os.fsdecode(path))
            if place != os.devnull and not place.startswith(self._folders):
                self.found[f"open {place}"] += 1

    def _process(self, arguments: tuple[Any, ...]) -> None:
        program, command = arguments[:2]
        if list(map(str, command)) == [sys.executable, "-P", self._server] and str(program) == sys.executable:
            self.started += 1
        else:
            self.found[f"subprocess {program} {command}"] += 1


def main(folder: Path) -> None:
    """Read every hostile file, watched."""
    from keydnn.convert.read.hdf5 import process
    from keydnn.errors import KeyDNNError
    from tests.hostile import make
    from tests.hostile.kind import read

    (folder / "secret").write_bytes(b"secret")
    paths = {}
    for place, name in enumerate(make.FILES):
        (own := folder / "files" / str(place)).mkdir(parents=True)
        paths[name] = make.write(name, own, folder / "secret")
    os.chdir(folder / "files")
    watch = Watch((str(folder / "files") + os.sep,), str(process.SERVER))
    sys.addaudithook(watch)
    for watched in (False, True):  # what is loaded for any file is there the second time; but nothing of the files is
        before = set(sys.modules)
        process.IDLE.close()
        for name, path in list(paths.items())[:: 1 if watched else 3]:
            watch.on = watched
            try:
                read(path, make.FILES[name].options)
            except KeyDNNError:
                pass
            finally:
                watch.on = False
        new = sorted(name for name in set(sys.modules) - before if not name.startswith(("keydnn", "encodings")))
        print("modules", watched, *new)
    print("processes", min(watch.started, 1))
    for what, count in sorted(watch.found.items()):
        print("forbidden", count, what)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
