"""What the ledger says: KPIs, carbon, counterfactuals, anomalies, and how exports keep people's privacy."""
