"""Entries looked at, and carried from one store to another, by way of a file or directly.

An entry keeps its name, tenant, tags and the moment it expires, and is sealed anew by the store
that takes it. Carrying again what was carried changes nothing, so that a run which was interrupted
is gone on with by starting it again.
"""
