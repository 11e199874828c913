"""Stages, recipes and reports in this process, with no server."""
