"""What would be different under the rules of now: dry runs, differences, corrections."""
