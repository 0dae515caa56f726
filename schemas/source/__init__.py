"""The types of which the JSON Schemas are made; only `schemas/publish.py` uses them."""
