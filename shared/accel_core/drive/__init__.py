"""The two colours: who waits, where, and for how long."""
