"""Files to frozen, validated settings; every mistake reported at once."""
