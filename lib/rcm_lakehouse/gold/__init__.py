"""Model files to dependency order and parameters (pure)."""
