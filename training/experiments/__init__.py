"""Experiments: arms of one application side by side, and the paper's tables and figures made from them."""
