"""`track-pipeline replay …`: the same rules over a chosen window of the raw topic."""
