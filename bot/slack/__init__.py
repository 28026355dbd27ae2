"""Slack at the boundary: listeners, views, people."""
