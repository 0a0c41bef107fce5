"""What happened, put together from a source into one frozen `Report`, for people and machines."""

from __future__ import annotations

from accel_core.report.values import Report, merged

__all__ = ["Report", "merged"]
