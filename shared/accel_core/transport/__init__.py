"""Transports of HTTP clients that keep their calls within limits: plug-ins, loaded lazily."""
