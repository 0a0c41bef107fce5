"""LlamaIndex: `accelerate`."""
