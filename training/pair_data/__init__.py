"""Preference pairs in and out of files."""
