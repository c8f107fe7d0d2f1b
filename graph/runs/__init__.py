"""Many tasks: the runner, the folder that keeps their rows, the ledger that lets a run resume."""
