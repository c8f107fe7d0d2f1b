"""Models that are built on this machine from packages alone: the embedded target that sees, and a detector that knows better."""
