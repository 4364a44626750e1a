"""Operations, firmware, roll-outs and certificates over the life of a station."""
