"""Starts the program from where it lies, as a package of its own."""

import importlib.util
import os
import sys

if __name__ == "__main__":
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry or ".") != folder]  # its files are no modules
    spec = importlib.util.spec_from_file_location(
        "keydnn_recorder", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    if spec is not None and spec.loader is not None:
        sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    sys.exit(importlib.import_module("keydnn_recorder.command").main(sys.argv[1:]))
