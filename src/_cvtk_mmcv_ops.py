"""Placeholder: written by the operators work."""
