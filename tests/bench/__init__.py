"""The benchmark: CPU time per event, as ratios of contestants in one run. Nothing is asserted."""
