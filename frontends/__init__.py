"""Descriptions in: configurations, YAML, strategies. `build.py` is the only way they become IR."""
