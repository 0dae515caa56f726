"""The commands of `track-pipeline`: one file each, which parses, calls and prints."""
