"""Lineage columns, row hashes, windows and watermarks of the append-only layer (pure)."""
