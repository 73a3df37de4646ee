"""Verdicts on samples whose truth is known: permuted ones, which no model can learn from, and the genuine ones."""
