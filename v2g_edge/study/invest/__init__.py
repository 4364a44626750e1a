"""Whether the next years pay: assumptions, Monte Carlo, and the report."""
