"""The core of contract version 1 as it was, to compare today's with; see README.md."""
