"""``python -m tests.systemd.coils PORT FILE``: a relay module for the box; FILE gets one line for each
coil written.
"""

import asyncio
import contextlib
import json
import struct
import sys
from pathlib import Path

WRITE_COIL = 5
WRITE_REGISTER = 6
ILLEGAL_FUNCTION = 1


async def serve(log: Path, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Answers functions 5 and 6 (Modbus Application Protocol 6.5, 6.6); refuses all others, as a plain
    relay module does.
    """
    with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
        while True:
            head = await reader.readexactly(7)
            transaction, _protocol, length, unit = struct.unpack(">HHHB", head)
            pdu = await reader.readexactly(length - 1)
            if pdu[0] == WRITE_COIL:
                coil, value = struct.unpack(">HH", pdu[1:])
                with log.open("a", encoding="utf-8") as file:
                    file.write(json.dumps({"unit": unit, "coil": coil, "closed": value != 0}) + "\n")
            if pdu[0] in (WRITE_COIL, WRITE_REGISTER):
                writer.write(head + pdu)
            else:
                writer.write(struct.pack(">HHHBBB", transaction, 0, 3, unit, pdu[0] | 0x80, ILLEGAL_FUNCTION))
            await writer.drain()
    writer.close()


async def main(port: int, log: Path) -> None:
    """Serves until it is ended."""
    server = await asyncio.start_server(lambda reader, writer: serve(log, reader, writer), "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), Path(sys.argv[2])))
