"""The tests, as a package: tables and helpers are imported by their full name."""
