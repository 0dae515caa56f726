"""What surrounds the code: the image, the compose file, the pinned packages, the Makefile."""
