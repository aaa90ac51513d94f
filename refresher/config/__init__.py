"""config.yaml, read strictly."""
