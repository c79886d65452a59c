"""Faults and load: what happens when parameters are tampered with, processes die, disks fill, many call at once.

What runs long is a script with a short mode, which ``test_short.py`` runs with fixed seeds.

=====================================  ===================================================================
fault                                  held by
=====================================  ===================================================================
crash while writing                    ``kills.py``; ``tests/checkpoint/test_faults.py`` (at every step)
disk full, failing write or rename     ``tests/checkpoint/test_faults.py`` (injected errors); ``test_disk.py``
truncation, bit flips                  ``tests/checkpoint/test_hostile.py``, ``test_sidecar.py``, ``tests/hostile``
tampered checkpoints                   ``tamper.py``
threads                                ``load.py``
processes, forks                       ``load.py``
the kernel cache                       ``cache.py``; ``tests/test_cache.py``
Ctrl-C, closed pipes, odd paths        ``test_interrupts.py``, ``tests/test_cli.py``
soak                                   ``soak.py``
=====================================  ===================================================================
"""
