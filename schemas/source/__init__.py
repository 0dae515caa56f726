"""Types from which the published JSON Schemas are made. Only `schemas/publish.py` uses them."""
