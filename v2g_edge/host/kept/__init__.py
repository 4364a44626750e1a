"""What the journal keeps of the ticks: each as few octets, and the sums of the quarter hours."""
