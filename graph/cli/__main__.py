"""`python -m anyprefer.graph.cli`: the command line as a module, for launchers that start modules."""

from anyprefer.graph.cli import main

main()
