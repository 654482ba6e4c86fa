"""Judging a diagnoser: scores, their intervals, and the result."""
