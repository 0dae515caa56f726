"""The benchmark: CPU time per event, as ratios to a baseline in the same run; asserts nothing."""
