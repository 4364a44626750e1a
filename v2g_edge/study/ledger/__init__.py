"""The ledger: what flowed, by vehicle, charger, service and settlement interval, made from the journal."""
