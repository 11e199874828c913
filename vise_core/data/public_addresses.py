"""Connect to user-supplied URLs without reaching hosts inside the network (protection against SSRF).

Every host is resolved first, each of its addresses must be public, and the connection goes to the address that was
checked, so that a second DNS response has no effect. Redirects are followed one by one, each checked again.
``VISE_FETCH_NETWORKS`` (comma-separated, such as ``10.0.0.0/8``) allows further networks, also over plain http; by
default there are none.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from urllib.parse import urljoin, urlsplit

import httpx

from vise_core.errors import BadInput
from vise_core.files.download import Connect, DownloadFailed
from vise_core.settings import CoreSettings

REDIRECTS = 5
NETWORKS = "VISE_FETCH_NETWORKS"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network

SPECIAL: tuple[Network, ...] = tuple(
    ipaddress.ip_network(network)
    for network in (
        "192.0.0.0/24",  # Protocol assignments, of which 192.0.0.8 is a dummy address.
        "192.88.99.0/24",  # 6to4 relays.
        "64:ff9b::/96",  # IPv4 hosts, also private ones, through a NAT64 gateway.
        "64:ff9b:1::/48",  # The same, of one's own network.
        "fec0::/10",  # Site-local.
        "3fff::/20",  # Documentation.
        "5f00::/16",  # Segment routing.
    )
)
"""Networks that are not public, of which not every version of Python knows that."""


class RefusedAddress(BadInput):
    """The address is neither public nor in an allowed network."""


def allowed_networks(text: str | None = None) -> list[Network]:
    """Return the networks of the setting. Raises RefusedAddress for an invalid one."""
    networks: list[Network] = []
    for part in filter(
        None, (p.strip() for p in (text if text is not None else CoreSettings().fetch_networks).split(","))
    ):
        try:
            networks.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            raise RefusedAddress(f"{NETWORKS}: {part!r} is no network; write 10.0.0.0/8") from error
    return networks


def public_connect(networks: Sequence[Network]) -> Connect:
    """Return a ``connect`` for ``files.download.download`` that reaches public addresses only.

    The connection raises RefusedAddress for an address that ``checked_request`` refuses, also after a redirect, and
    DownloadFailed after more than ``REDIRECTS`` of them.
    """

    @contextmanager
    def connect(url: str, headers: Mapping[str, str]) -> Iterator[httpx.Response]:
        # Proxies of the environment are not used: behind one, the check of addresses would mean nothing.
        with httpx.Client(trust_env=False, follow_redirects=False, timeout=30) as client:
            for _ in range(REDIRECTS + 1):
                address, host, extensions = checked_request(url, networks)
                request = client.stream("GET", address, headers={**headers, **host}, extensions=extensions)
                with request as response:
                    if not response.is_redirect:
                        yield response
                        return
                    if "location" not in response.headers:
                        raise DownloadFailed(
                            f"{url} redirects ({response.status_code}) but does not say where to"
                        )
                    url = _next(url, response.headers["location"])
            raise DownloadFailed(f"{url}: more than {REDIRECTS} redirects")

    return connect


def _next(url: str, location: str) -> str:
    """Return the URL of a redirect. Raises DownloadFailed if it is none."""
    try:
        return urljoin(url, location)
    except ValueError as error:
        raise DownloadFailed(f"{url} redirects to {location!r:.200}, which is no address") from error


def checked_request(
    url: str, networks: Sequence[Network]
) -> tuple[httpx.URL, dict[str, str], dict[str, str]]:
    """Return (URL with the checked IP as host, Host header, TLS server name).

    Raises RefusedAddress if the URL is not https or has no host or port, or if its host is not public and in none of
    ``networks``.
    """
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise RefusedAddress(f"{url}: is no address, or has no usable port") from error
    if parts.scheme not in ("https", "http") or not host:
        raise RefusedAddress(f"{url}: only https addresses are fetched")
    address, inside = _resolve(host, port, networks)
    if parts.scheme == "http" and not inside:
        raise RefusedAddress(f"{url}: only https addresses are fetched")
    shown = f"[{address}]" if address.version == 6 else str(address)
    target = httpx.URL(url).copy_with(host=shown, port=port)
    name = host if port in (80, 443) else f"{host}:{port}"
    # The certificate is checked against the name, though the connection goes to the address.
    return target, {"Host": name}, {"sni_hostname": host}


def _resolve(host: str, port: int, networks: Sequence[Network]) -> tuple[Address, bool]:
    """Return (an address to connect to, whether it is in an allowed network)."""
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DownloadFailed(f"{host}: no such host ({error})") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in entries]
    for address in addresses:
        if not _is_public(address) and not _inside(address, networks):
            raise RefusedAddress(
                f"{host} is {address}, which is not a public address; {NETWORKS} can allow a network of your own"
            )
    return addresses[0], _inside(addresses[0], networks)


def _is_public(address: Address) -> bool:
    mapped = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    if mapped is not None:
        return _is_public(mapped)
    if _inside(address, SPECIAL):
        return False
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)
