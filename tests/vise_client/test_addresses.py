"""The address of a client is believed only from proxies that are trusted."""

import pytest

from vise_client.addresses import client_address, trusted_networks

TRUSTED = trusted_networks("10.0.0.0/8, 127.0.0.1,,2001:db8::/32")


@pytest.mark.parametrize(
    ("peer", "headers", "address"),
    [
        ("203.0.113.5", [], "203.0.113.5"),
        # Anybody may send the header; it counts from a trusted peer alone.
        ("203.0.113.5", ["198.51.100.1"], "203.0.113.5"),
        ("10.1.2.3", ["198.51.100.1"], "198.51.100.1"),
        ("10.1.2.3", [], "10.1.2.3"),
        # What a client has invented stands before what the proxies have appended.
        ("10.1.2.3", ["1.1.1.1, 198.51.100.1, 127.0.0.1"], "198.51.100.1"),
        ("10.1.2.3", ["1.1.1.1", "198.51.100.1"], "198.51.100.1"),
        ("127.0.0.1", ["10.9.9.9"], "10.9.9.9"),
        ("::ffff:10.1.2.3", ["2001:db8::1, 2a00::7"], "2a00::7"),
        ("10.1.2.3", ["nonsense"], "10.1.2.3"),
        ("10.1.2.3", ["198.51.100.1, nonsense"], "10.1.2.3"),
        ("testclient", ["198.51.100.1"], "testclient"),
    ],
)
def test_address_of_the_client(peer: str, headers: list[str], address: str) -> None:
    assert client_address(peer, headers, TRUSTED) == address


def test_a_host_name_stands_for_its_addresses_and_an_unknown_one_for_none() -> None:
    assert "127.0.0.1/32" in map(str, trusted_networks("localhost"))
    assert trusted_networks("no-such-host.invalid") == []
