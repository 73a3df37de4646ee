"""Ports for servers that are told theirs before they start."""

import random
import socket

PORTS = range(20_000, 32_000)
"""Below the ports that systems give to outgoing connections: one of those is often taken again before its server, which
takes seconds to start, comes to use it, or while a server is down."""


def free_port() -> int:
    """A port that nothing uses now."""
    while True:
        port = random.choice(PORTS)
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
