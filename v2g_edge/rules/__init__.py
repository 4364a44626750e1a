"""What we would like: departures first, then the plan, shared fairly. Rules make wishes and nothing else."""
