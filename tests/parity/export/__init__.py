"""What leaves KeyDNN, in the libraries that it is written for: PyTorch, ONNX Runtime, Keras."""
