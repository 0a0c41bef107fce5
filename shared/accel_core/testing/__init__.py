"""Helpers for testing applications and plug-ins: contracts, clocks, a local model server."""
