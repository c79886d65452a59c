"""Every hostile file by name: ``python -m tests.hostile.make FOLDER`` writes each of them into a folder of its own."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.hostile import archives, code, documents, hdf5
from tests.hostile.kind import Hostile

FILES: dict[str, Hostile] = {
    f"{module.__name__.rpartition('.')[2]}-{name}": hostile
    for module in (code, hdf5, archives, documents)
    for name, hostile in module.FILES.items()
}


def write(name: str, folder: Path, secret: Path) -> Path:
    """Write one of them; give its path.  It names ``secret`` where it names a file that must not be opened."""
    path = folder / FILES[name].name
    FILES[name].write(path, secret)
    return path


def main(folder: str) -> None:
    """Write all of them."""
    for name in FILES:
        (place := Path(folder) / name.replace("/", "|")).mkdir(parents=True)
        write(name, place, Path(folder) / "secret")
    print(f"{len(FILES)} hostile files in {folder}")


if __name__ == "__main__":
    main(sys.argv[1])
