"""A run as a data set that others can load: `anyprefer export`."""
