"""Contenders are imported where they are measured, because not all of their libraries need to be installed."""

collect_ignore_glob = ["contenders/*"]
