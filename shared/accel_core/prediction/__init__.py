"""Predictors of an agent's next calls: learned from runs, asked before a model, and saved."""
