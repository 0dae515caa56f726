"""The published JSON Schemas by contract version, examples, and the program that writes them."""
