"""The console command ``accel``."""
