"""Measurements of what this package promises: ``python -m benchmarks GROUP``.

They are no tests: a figure depends on the machine, so every promise is a ratio to a peer or to a
bare call in the same run, interleaved, and the median of many.
"""
