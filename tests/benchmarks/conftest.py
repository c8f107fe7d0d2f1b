"""The benchmarks are no installed package; a bare `pytest` does not look for them in the checkout."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))
