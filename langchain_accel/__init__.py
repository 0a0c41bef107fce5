"""LangChain: `AccelCache` and `accelerate`."""
