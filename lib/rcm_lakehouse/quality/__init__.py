"""Rules as data: judge a frame, split it into good and bad rows (pure)."""
