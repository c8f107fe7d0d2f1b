"""transformers models in this process."""
