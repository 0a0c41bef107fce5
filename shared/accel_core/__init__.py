"""The core of llm-accel: knows no framework."""
