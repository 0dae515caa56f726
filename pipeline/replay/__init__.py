"""Replays: the same rules over a chosen window of the raw topic. Begin in `plan.py`."""
