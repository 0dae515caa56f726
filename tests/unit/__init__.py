"""Tests that mirror the package; few of them need a broker."""
