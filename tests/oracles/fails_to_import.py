"""Somebody else's module, which ends the program when it is imported."""

raise SystemExit("not today")
