"""Every setting with its meaning, and where values come from: file, environment, flags.

May import `core`.
"""
