"""A TCP proxy before a server, which refuses, stalls or cuts connections in silence when a test says so."""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Literal
from urllib.parse import parse_qs, urlsplit

Mode = Literal["pass", "refuse", "stall", "half-open"]
End = Literal["client", "server"]
Address = str | tuple[str, int]


class Proxy:
    """Forwards connections to ``address``: a path of a Unix socket, or (host, port).

    ``mode`` "refuse" ends all connections and every new one; "stall" accepts and forwards nothing, as a frozen server;
    "half-open" forwards what clients send and no response, on all connections.
    ``half_open()`` forwards nothing more on the connections that are open, by default in both directions, and ends none
    of them; new ones pass. ``delay_by`` holds up all that is forwarded.
    ``on_request(data)`` sees what clients send; where it returns True, the connection is cut once the server has
    responded, so that the response is lost.
    """

    def __init__(self, address: Address) -> None:
        self.address = address
        self.mode: Mode = "pass"
        self.delay = 0.0
        self.on_request: Callable[[bytes], bool] = lambda _: False
        self._pairs: set[_Pair] = set()
        self._server = socket.create_server(("127.0.0.1", 0), backlog=100)
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def set(self, mode: Mode) -> None:
        self.mode = mode
        if mode == "refuse":
            for pair in list(self._pairs):
                pair.close()

    def half_open(self, to: End | Literal["both"] = "both") -> None:
        for pair in list(self._pairs):
            pair.cut |= {"client", "server"} if to == "both" else {to}

    def delay_by(self, seconds: float) -> None:
        self.delay = seconds

    def heal(self) -> None:
        """Pass everything on again; connections that are half-open stay so."""
        self.mode, self.delay, self.on_request = "pass", 0.0, lambda _: False

    def close(self) -> None:
        self._server.close()
        self.mode = "refuse"
        for pair in list(self._pairs):
            pair.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._server.accept()
                if self.mode == "refuse":
                    client.close()
                    continue
                pair = _Pair(self, client)
                self._pairs.add(pair)
                threading.Thread(target=pair.serve, daemon=True).start()


class _Pair:
    """A client's connection and ours to the server."""

    def __init__(self, proxy: Proxy, client: socket.socket) -> None:
        self.proxy, self.client, self.lose_response = proxy, client, False
        self.cut: set[End] = set()
        """Ends to which nothing is forwarded any more."""
        self.server: socket.socket | None = None

    def close(self) -> None:
        for end in (self.client, self.server):
            if end is not None:
                with suppress(OSError):
                    end.shutdown(socket.SHUT_RDWR)
                end.close()
        self.proxy._pairs.discard(self)

    def serve(self) -> None:
        with suppress(OSError, ValueError):
            while True:
                ends = [end for end in (self.client, self.server) if end is not None]
                # A long wait: with 100 connections a short one would cost a tenth of a core.
                ready = select.select(ends, [], [], 1.0)[0]
                if self.proxy.mode == "stall" or (ready and all(self._is_cut(end) for end in ready)):
                    if ready:
                        threading.Event().wait(0.05)
                    continue
                ready = [end for end in ready if not self._is_cut(end)]
                if ready and self.proxy.delay:
                    threading.Event().wait(self.proxy.delay)
                if self.server is None:
                    self.server = _connect(self.proxy.address)
                if any(not self._forward(end) for end in ready):
                    break
        self.close()

    def _is_cut(self, source: socket.socket) -> bool:
        if source is self.server and self.proxy.mode == "half-open":
            return True
        return ("server" if source is self.client else "client") in self.cut

    def _forward(self, source: socket.socket) -> bool:
        data = source.recv(65536)
        if not data:
            return False
        if source is self.client:
            self.lose_response = self.proxy.on_request(data)
            assert self.server is not None
            self.server.sendall(data)
            return True
        if self.lose_response:
            return False
        self.client.sendall(data)
        return True


def _connect(address: Address) -> socket.socket:
    if isinstance(address, tuple):
        return socket.create_connection(address)
    server = socket.socket(socket.AF_UNIX)
    server.connect(address)
    return server


@contextmanager
def before(url: str) -> Iterator[tuple[str, Proxy]]:
    """A proxy before the PostgreSQL or Valkey of this URL: (URL through the proxy, proxy)."""
    parts = urlsplit(url)
    if parts.scheme.startswith("postgresql"):
        proxy = Proxy(f"{parse_qs(parts.query)['host'][0]}/.s.PGSQL.5432")
        through = f"{parts.scheme}://{parts.username}@127.0.0.1:{proxy.port}{parts.path}"
    else:
        proxy = Proxy((str(parts.hostname), int(parts.port or 0)))
        through = parts._replace(netloc=f":{parts.password}@127.0.0.1:{proxy.port}").geturl()
    try:
        yield through, proxy
    finally:
        proxy.close()


@contextmanager
def black_hole() -> Iterator[int]:
    """A port of 127.0.0.1 to which no connection is ever made, as of a host that drops all packets."""
    with ExitStack() as sockets:
        server = sockets.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        # Nobody accepts: the kernel drops what comes once its queue is full.
        for _ in range(3):
            client = sockets.enter_context(socket.socket())
            client.setblocking(False)
            client.connect_ex(server.getsockname())
        yield server.getsockname()[1]
