"""Measurements of the engine: `make bench` runs them all and writes docs/benchmarks.md.

    python -m benchmarks.run game single peers faults limits kill million

server.py and answers.py are the model server, engines/ the programs that are measured, each a process
of its own; run.py starts them in turn and report.py makes the page.
"""
