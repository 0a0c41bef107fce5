"""Pure arithmetic: no clock, no dice, no I/O, no threads."""
