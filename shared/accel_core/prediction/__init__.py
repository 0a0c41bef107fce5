"""Predictors of an agent's next calls: what learns from runs, is asked before a model, and saved."""
