"""Encoders: texts to unit vectors. One module per library; `build` alone imports them."""
