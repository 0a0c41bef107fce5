"""Small files beside the stores: what was compared, and what outcomes have taught."""
