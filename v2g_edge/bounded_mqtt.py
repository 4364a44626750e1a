"""Holds a broker to the size of packets that was agreed with it, for every room that dials one."""

from typing import Final

import aiomqtt

READ_BYTES: Final = 64 << 10
"""Octets that are asked for at once; the library asks for all that a packet announces."""


def bound_packets(client: aiomqtt.Client, most: int) -> None:
    """End the session of ``client`` when its broker announces a packet of more than ``most`` octets.

    That is before anything of it is taken: the library would take up to 256 MiB.
    """
    inner = client._client
    receive = inner._sock_recv

    def receive_bounded(size: int) -> bytes:
        """A part of a packet. An OSError ends the session."""
        if (announced := inner._in_packet["remaining_length"]) > most:
            raise ConnectionError(f"the broker announced a packet of {announced} bytes; allowed are {most}")
        return receive(min(size, READ_BYTES))

    inner._sock_recv = receive_bounded  # type: ignore[method-assign,assignment]
