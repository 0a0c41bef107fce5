"""Gates in front of retrieval: by rules, or trained on examples."""
