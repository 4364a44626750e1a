"""``make hostile``: a depot of which a quarter of the stations, the network, the broker and local users do
their worst.
"""
