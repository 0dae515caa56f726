"""`make chaos ARGS=--alerts`: does each alert fire, and end, when there is a reason for it?

A real Prometheus with the shipped rules scrapes real workers and `track-pipeline watch`. For each
alert, cases.py names a fault that must make it fire. Read that first; compression.py says why a run
takes ten minutes although the rules wait for hours.
"""
