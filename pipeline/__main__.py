"""`python -m pipeline` is `track-pipeline`."""

from pipeline.cli.main import main

main()
