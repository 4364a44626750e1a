"""Bills: tariffs as data, and what they make of metered energy, to the cent."""
