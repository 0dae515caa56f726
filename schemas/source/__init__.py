"""Types from which the published schemas are made. Only `schemas/publish.py` uses them."""
