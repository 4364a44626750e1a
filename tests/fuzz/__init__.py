"""Coverage-guided runs: ``python -m tests.fuzz``."""
