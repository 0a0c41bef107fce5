"""The next calls of an agent, guessed from how earlier runs went. Pure: counts and arithmetic."""
