"""Verifiers: whether a stored answer also answers another question."""
