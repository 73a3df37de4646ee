"""Sensors. Each is a pure decision (what is there, what is known → what to request) and a thin shell around it."""
