"""Which requests a broker knows, asked as every client asks, for tests that depend on it."""

import functools
import socket
import struct

API_VERSIONS, CREATE_PARTITIONS = 18, 37
WAIT_S = 10


@functools.cache
def broker_knows(address, key):
    request = struct.pack(">hhih", API_VERSIONS, 0, 1, -1)
    with socket.create_connection(address, timeout=WAIT_S) as broker:
        broker.sendall(struct.pack(">i", len(request)) + request)
        answer = broker.makefile("rb")
        _, _, error, count = struct.unpack(">iihi", answer.read(14))
        if error:
            raise RuntimeError(f"ApiVersions answered with error {error}")
        return key in [struct.unpack(">hhh", answer.read(6))[0] for _ in range(count)]
