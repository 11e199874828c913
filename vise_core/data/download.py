"""Download a file that a user named, without letting the address reach what lies inside the network.

Every host is resolved first, each of its addresses must be a public one, and the connection goes to the address that
was checked: a name that answers differently the second time gains nothing. Redirects are followed one by one, each
checked anew. ``VISE_FETCH_NETWORKS`` (comma-separated, such as ``10.0.0.0/8``) names networks that may be reached
besides, also over plain http; by default there are none.
"""

from __future__ import annotations

import hashlib
import ipaddress
import os
import socket
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import httpx

from vise_core.errors import BadInput, Stopped

REDIRECTS = 5
NETWORKS = "VISE_FETCH_NETWORKS"

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class RefusedAddress(BadInput):
    """An address that must not be asked."""


class DownloadFailed(BadInput):
    """The file could not be had, is too large, or is another than was meant."""


def allowed_networks(text: str | None = None) -> list[Network]:
    """The networks that the setting names. Raises RefusedAddress for one that is none."""
    found: list[Network] = []
    for part in filter(
        None, (p.strip() for p in (text if text is not None else os.environ.get(NETWORKS, "")).split(","))
    ):
        try:
            found.append(ipaddress.ip_network(part, strict=False))
        except ValueError as error:
            raise RefusedAddress(f"{NETWORKS}: {part!r} is no network; write 10.0.0.0/8") from error
    return found


def fetch(
    url: str,
    target: Path,
    *,
    sha256: str | None,
    most: int,
    networks: Sequence[Network],
    progress: Callable[[int, int | None], None],
    should_stop: Callable[[], bool] = lambda: False,
) -> str:
    """Stream ``url`` to ``target``; returns its SHA-256. Raises RefusedAddress, DownloadFailed, Stopped."""
    digest = hashlib.sha256()
    try:
        # Proxies of the environment are not used: behind one, the check of addresses would mean nothing.
        with httpx.Client(trust_env=False, follow_redirects=False, timeout=30) as client:
            for _ in range(REDIRECTS + 1):
                address, headers, extensions = checked_request(url, networks)
                with client.stream("GET", address, headers=headers, extensions=extensions) as answer:
                    if answer.is_redirect:
                        url = urljoin(url, answer.headers["location"])
                        continue
                    answer.raise_for_status()
                    _receive(answer, target, digest, most, progress, should_stop)
                    break
            else:
                raise DownloadFailed(f"{url}: more than {REDIRECTS} redirects")
    except httpx.HTTPStatusError as error:
        raise DownloadFailed(f"{url} answered {error.response.status_code}") from error
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise DownloadFailed(f"{url} could not be fetched ({str(error) or type(error).__name__})") from error
    found = digest.hexdigest()
    if sha256 is not None and found != sha256:
        target.unlink()
        raise DownloadFailed(f"{url} gave a file with SHA-256 {found}, expected {sha256}; it was thrown away")
    return found


def checked_request(
    url: str, networks: Sequence[Network]
) -> tuple[httpx.URL, dict[str, str], dict[str, str]]:
    """(address with the checked IP in place of the name, headers, TLS name). Raises RefusedAddress."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    try:
        port = parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError as error:
        raise RefusedAddress(f"{url}: has no usable port") from error
    if parts.scheme not in ("https", "http") or not host:
        raise RefusedAddress(f"{url}: only https addresses are fetched")
    address, inside = _resolve(host, port, networks)
    if parts.scheme == "http" and not inside:
        raise RefusedAddress(f"{url}: only https addresses are fetched")
    shown = f"[{address}]" if address.version == 6 else str(address)
    asked = httpx.URL(url).copy_with(host=shown, port=port)
    name = host if port in (80, 443) else f"{host}:{port}"
    # The certificate is checked against the name, though the connection goes to the address.
    return asked, {"Host": name, "Accept-Encoding": "identity"}, {"sni_hostname": host}


def _resolve(host: str, port: int, networks: Sequence[Network]) -> tuple[Address, bool]:
    """(an address to connect to, whether it lies in a network that is allowed by name)."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise DownloadFailed(f"{host}: no such host ({error})") from error
    addresses = [ipaddress.ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
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
    return address.is_global and not address.is_multicast and not address.is_reserved


def _inside(address: Address, networks: Sequence[Network]) -> bool:
    return any(address in network for network in networks if network.version == address.version)


def _receive(
    answer: httpx.Response,
    target: Path,
    digest: hashlib._Hash,
    most: int,
    progress: Callable[[int, int | None], None],
    should_stop: Callable[[], bool],
) -> None:
    length = answer.headers.get("content-length", "")
    total = int(length) if length.isdecimal() else None
    if total is not None and total > most:
        raise DownloadFailed(f"the file has {total:,} bytes; at most {most:,} are fetched")
    done = 0
    with target.open("wb") as file:
        for chunk in answer.iter_bytes():
            done += len(chunk)
            if done > most:
                raise DownloadFailed(f"the file has more than the {most:,} bytes that are fetched")
            file.write(chunk)
            digest.update(chunk)
            progress(done, total)
            if should_stop():
                raise Stopped("the download was stopped; it begins anew when the run goes on")
