"""Certificate authorities of tests, and a Dask scheduler with workers in processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from backend.local.processes import free_port

ROOT = Path(__file__).parents[3]


@dataclass(frozen=True)
class Certificates:
    """PEM files: of an authority, and of a certificate that it signed."""

    ca: Path
    certificate: Path
    key: Path

    def options(self) -> list[str]:
        """For Dask's commands."""
        return [
            f"--tls-ca-file={self.ca}",
            f"--tls-cert={self.certificate}",
            f"--tls-key={self.key}",
        ]


def certify(folder: Path) -> Certificates:
    """A new authority and a certificate of it."""
    folder.mkdir(parents=True)
    signed = [_certificate("authority", None), None]
    signed[1] = _certificate("host", signed[0])
    paths = []
    for name, (certificate, key) in zip(("ca", "host"), signed, strict=True):
        paths += [folder / f"{name}.pem", folder / f"{name}-key.pem"]
        paths[-2].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        paths[-1].write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
    return Certificates(paths[0], paths[2], paths[3])


Signed = tuple[x509.Certificate, ec.EllipticCurvePrivateKey]


def _certificate(name: str, issuer: Signed | None) -> Signed:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .sign(issuer[1] if issuer else key, hashes.SHA256())
    )
    return certificate, key


@dataclass
class DaskCluster:
    """A scheduler and two workers. ``settings``: what names it to a host."""

    address: str
    certificates: Certificates
    scheduler: subprocess.Popen[bytes]
    workers: list[subprocess.Popen[bytes]] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, str]:
        return {
            "VISE_DASK_SCHEDULER": self.address,
            "VISE_DASK_CA": str(self.certificates.ca),
            "VISE_DASK_CERTIFICATE": str(self.certificates.certificate),
            "VISE_DASK_KEY": str(self.certificates.key),
        }


@contextmanager
def dask_cluster(folder: Path) -> Iterator[DaskCluster]:
    """Start a scheduler with TLS, and two workers of one thread with nannies, as ``dask`` starts them."""
    certificates = certify(folder / "certificates")
    port = free_port()
    address = f"tls://127.0.0.1:{port}"
    scheduler = _dask(
        folder,
        "scheduler",
        "--protocol=tls",
        "--host=127.0.0.1",
        f"--port={port}",
        "--no-dashboard",
        *certificates.options(),
    )
    cluster = DaskCluster(address, certificates, scheduler)
    try:
        for _ in range(2):
            cluster.workers.append(
                _dask(
                    folder,
                    "worker",
                    address,
                    "--nthreads=1",
                    "--host=127.0.0.1",
                    "--no-dashboard",
                    f"--local-directory={folder}",
                    *certificates.options(),
                )
            )
        yield cluster
    finally:
        for process in (*cluster.workers, scheduler):
            process.kill()
            process.wait()


def _dask(folder: Path, *arguments: str) -> subprocess.Popen[bytes]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    with (folder / "dask.log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "dask", *arguments], cwd=folder, env=environment, stdout=log, stderr=log
        )
