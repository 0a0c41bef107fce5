"""Stores: entries by key. One module per library; `build` alone imports them."""
