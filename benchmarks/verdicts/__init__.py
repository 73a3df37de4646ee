"""Verdicts on samples whose informative columns were permuted: none may be called better."""
