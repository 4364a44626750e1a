"""OpenADR 3.1: a virtual end node (VEN) that asks a virtual top node (VTN) for programmes and events."""
