"""Warm-up: questions asked before users ask them, so that caches are full when they come."""
