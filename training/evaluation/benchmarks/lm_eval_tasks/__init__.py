"""Task files of lm-evaluation-harness: pass this folder as `--include_path`."""
