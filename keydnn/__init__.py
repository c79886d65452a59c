"""KeyDNN: opens any Keras file without Keras and runs it on NumPy, Numba and h5py."""
