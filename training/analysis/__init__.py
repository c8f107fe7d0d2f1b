"""What came out of a synthesis: diversity, quality, correlations, their plots and the report (paper §3.3-3.7).

`analyse.py` puts it together, as `anyprefer analyse` does. Needs `pip install 'anyprefer[analysis]'`.
"""
