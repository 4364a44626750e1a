"""Commands that read the ledger: what was earned, what it cost, and whether it pays."""
