"""Tests of the core: what one raw record becomes, decided by the data contract."""
