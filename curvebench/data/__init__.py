"""Keeping a data set: its columns, its table in memory, its file, its views."""
