"""``python -m keydnn``, the same as ``keydnn``."""

from keydnn.commandline import main

if __name__ == "__main__":
    main()
