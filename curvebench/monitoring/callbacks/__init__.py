"""Adapters of the monitor, one module a framework; each is imported by whoever uses that framework, and imports it."""
