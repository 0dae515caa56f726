"""The service: the loop, what guards it, and several workers under one supervisor."""
