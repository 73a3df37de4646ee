"""Training and prediction jobs: one contract, and the places that run it."""
