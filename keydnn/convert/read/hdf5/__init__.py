"""HDF5 from strangers.  The library runs in a process of its own (``server``, ``process``), and is asked by path."""
