"""Runs workers as a service: one in this process, or several under a supervisor.

Everything that surrounds them there: the HTTP endpoint, systemd, and leaving the group for good. It
may import everything but the tools and `cli`.
"""
