"""The address of a client whose requests come through proxies."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Sequence
from contextlib import suppress
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import TypeAlias

Address: TypeAlias = IPv4Address | IPv6Address
Network: TypeAlias = IPv4Network | IPv6Network


def trusted_networks(proxies: str) -> list[Network]:
    """Return the networks of a list of addresses, networks in CIDR notation and host names, separated by commas.

    A host name stands for its addresses at this moment; one that is unknown is left out.
    """
    networks: list[Network] = []
    for entry in filter(None, (entry.strip() for entry in proxies.split(","))):
        try:
            networks.append(ip_network(entry, strict=False))
        except ValueError:
            with suppress(OSError):
                networks += [ip_network(info[4][0]) for info in socket.getaddrinfo(entry, None)]
    return networks


def client_address(peer: str, forwarded_for: Iterable[str], trusted: Sequence[Network]) -> str:
    """Return the address of the client: the last in ``X-Forwarded-For`` that no trusted proxy has.

    Each proxy appends the address that it was reached from, so what stands before an address that is not trusted
    may be invented. From a peer that is not trusted the header means nothing.
    """
    address = peer
    hops = [hop.strip() for header in forwarded_for for hop in header.split(",")]
    while hops and _is_trusted(address, trusted):
        hop = _parse(hops.pop())
        if hop is None:
            break
        address = str(hop)
    return address


def _is_trusted(address: str, trusted: Sequence[Network]) -> bool:
    parsed = _parse(address)
    return parsed is not None and any(parsed in network for network in trusted)


def _parse(text: str) -> Address | None:
    try:
        address = ip_address(text)
    except ValueError:
        return None
    # A socket for both families sees IPv4 addresses as ::ffff:1.2.3.4.
    return (address.ipv4_mapped or address) if isinstance(address, IPv6Address) else address
