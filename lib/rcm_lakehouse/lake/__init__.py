"""Session, tables, commits, merges and the lock."""
