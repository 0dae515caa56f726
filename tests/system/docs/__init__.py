"""The project's texts say what the code does."""
