"""Vector indexes: nearest entries within one scope."""
