"""The forest and the calibrations that the package ships, as JSON beside the code."""
