"""Measuring and fitting the similarity decision on labelled questions; behind ``accel eval``."""
