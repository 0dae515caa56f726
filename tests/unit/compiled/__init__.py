"""Tests of the choice between the Python core and the compiled one, and of both being the same."""
