"""A run spread over processes, with Ray."""
