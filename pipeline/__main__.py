"""`python -m pipeline` is `track-pipeline`."""

from pipeline.cli import main

main()
