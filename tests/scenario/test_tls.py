"""Consul over HTTPS that asks for a client certificate; several addresses, tried in order."""

import subprocess
from types import SimpleNamespace

import pytest

from lib.consul import Consul
from lib.lictord import Lictord
from lib.wait import free_port, until


def openssl(*words):
    subprocess.run(["openssl", *map(str, words)], check=True, stdout=subprocess.PIPE, stderr=subprocess.PIPE)


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A CA, a server certificate for 127.0.0.1, a client certificate, and a second CA that signed nothing."""
    base = tmp_path_factory.mktemp("tls")
    for ca in ("ca", "other-ca"):
        openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", 3650, "-subj", f"/CN={ca}",
                "-keyout", base / f"{ca}.key", "-out", base / f"{ca}.pem")
    (base / "extensions").write_text("subjectAltName=IP:127.0.0.1,DNS:localhost,DNS:server.dc1.consul\nextendedKeyUsage=serverAuth,clientAuth\n")
    for name in ("server", "client"):
        openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={name}",
                "-keyout", base / f"{name}.key", "-out", base / f"{name}.csr")
        openssl("x509", "-req", "-in", base / f"{name}.csr", "-CA", base / "ca.pem", "-CAkey", base / "ca.key", "-CAcreateserial",
                "-days", 3650, "-extfile", base / "extensions", "-out", base / f"{name}.pem")
    return SimpleNamespace(ca=base / "ca.pem", other_ca=base / "other-ca.pem", server_cert=base / "server.pem", server_key=base / "server.key",
                           client_cert=base / "client.pem", client_key=base / "client.key")


@pytest.fixture
def consul(tmp_path, certificates):
    consul = Consul(tmp_path, tls=certificates)
    consul.register("web", address="10.0.0.1")
    return consul


def settings(consul, certificates, **changes):
    return {"address": f"https://127.0.0.1:{consul.ports['https']}", "ca_file": str(certificates.ca), "cert_file": str(certificates.client_cert),
            "key_file": str(certificates.client_key), **changes}


def test_client_certificate(consul, certificates, tmp_path):
    daemon = Lictord(tmp_path, consul, services={}, election={}, consul_settings=settings(consul, certificates))
    daemon.wait_addresses("web.service.consul", ["10.0.0.1"])
    until(daemon.is_primary)


@pytest.mark.parametrize("change", [{"ca_file": "other_ca"}, {"cert_file": None, "key_file": None}])
def test_wrong_certificates_are_said(consul, certificates, tmp_path, change):
    wrong = {key: str(getattr(certificates, value)) if value else None for key, value in change.items()}
    daemon = Lictord(tmp_path, consul, services={}, consul_settings=settings(consul, certificates, **wrong), wait=False)
    daemon.wait_logged("(?i)certificate|SSL|TLS", timeout=20)
    assert daemon.ask("web.service.consul").rcode == "SERVFAIL"


def test_addresses_are_tried_in_order(web, tmp_path):
    dead = free_port()
    daemon = Lictord(tmp_path, web, services={}, consul_settings={"address": [f"http://127.0.0.1:{dead}", web.url]})
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])


def test_environment_gives_the_defaults(web, tmp_path):
    daemon = Lictord(tmp_path, None, services={}, env={"CONSUL_HTTP_ADDR": web.address})
    daemon.wait_addresses("web.service.consul", ["10.0.0.1", "10.0.0.2", "10.0.0.3"])
