"""Connections with TLS."""

from __future__ import annotations

import shutil
import ssl
import subprocess
from pathlib import Path

import pytest
from scripted_broker import ScriptedBroker

from distributedlog import Admin
from distributedlog.errors import BrokerUnavailableError, ConfigurationError

pytestmark = pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl to make a certificate")


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate for localhost that signs itself, and its key."""
    directory = tmp_path_factory.mktemp("tls")
    made, key = directory / "certificate.pem", directory / "key.pem"
    command = "openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost"
    subject = ["-addext", "subjectAltName=DNS:localhost"]
    subprocess.run([*command.split(), *subject, "-keyout", key, "-out", made], check=True, capture_output=True)
    return made, key


def test_a_broker_with_a_certificate_that_is_trusted(certificate: tuple[Path, Path]) -> None:
    made, key = certificate
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(made, key)
    with ScriptedBroker(lambda _: (200, {}), context) as broker:
        port = broker.address.rpartition(":")[2]
        with Admin(bootstrap_servers=f"localhost:{port}", ssl_cafile=str(made)) as admin:
            assert admin.topic("t").partitions == 1
        with (
            Admin(bootstrap_servers=f"https://localhost:{port}", api_timeout_ms=300) as admin,
            pytest.raises(BrokerUnavailableError, match="CERTIFICATE_VERIFY_FAILED"),
        ):
            admin.topic("t")


def test_a_file_that_is_no_certificate(tmp_path: Path) -> None:
    nothing = tmp_path / "nothing.pem"
    nothing.touch()
    for file in (nothing, tmp_path / "missing.pem"):
        with pytest.raises(ConfigurationError, match="ssl_cafile"):
            Admin(ssl_cafile=str(file))
