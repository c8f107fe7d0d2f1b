"""Iterations: synthesise, train, evaluate, adopt."""
