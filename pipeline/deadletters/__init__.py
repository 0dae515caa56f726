"""The desk for dead letters: see why, check what would happen now, send again."""
