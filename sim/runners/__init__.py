"""Ways to play a scenario, in one process, as the demo, or as a server; the running world and its report."""
