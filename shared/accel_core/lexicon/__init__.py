"""Lexicons: how much a word weighs and how two words are related. One module per language."""
