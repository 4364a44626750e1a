"""Time and transports: clocks, the virtual loop, and byte streams in memory."""
