"""All settings with their meanings, and the sources of their values: file, environment, flags.

May import `core` and `errors`.
"""
