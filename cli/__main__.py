"""`python -m anyprefer.cli`: the command line as a module, for launchers that start modules."""

from anyprefer.cli import main

main()
