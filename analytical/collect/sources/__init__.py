"""One platform, one file: how its reports are asked for, and how its answers are read."""
