"""Battery wear: cycles by rainflow, models as data, and what a kWh costs by its depth."""
