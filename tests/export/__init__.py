"""What leaves KeyDNN: exporters, without the libraries that they write for."""
