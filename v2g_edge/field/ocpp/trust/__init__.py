"""Identity and its proofs: certificates, TLS, revocation, contracts, passwords, admission, tokens."""
