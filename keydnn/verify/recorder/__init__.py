"""What Keras computes for a file, layer by layer, written into a recording: a program that runs where Keras is.

It imports the standard library, NumPy and Keras, nothing else of KeyDNN, and runs on Python 3.8 and newer, from where
it lies::

    OTHER/bin/python keydnn/verify/recorder --src model.h5 --out reference.npz

``keydnn record`` starts it so::

    command.py     the command line
    lines.py       what is said
    source.py      the file: its digest, who wrote it, whether it holds code
    library.py     Keras 3, tf-keras, TensorFlow's Keras, seen alike
    graph.py       models as calls of layers
    inputs.py      what goes in
    watch.py       what comes out of every layer
    writing.py     the recording
"""
