"""The published schemas, and the program that writes them."""
