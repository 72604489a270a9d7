"""Contracts to typed rows, and events to versions (pure)."""
