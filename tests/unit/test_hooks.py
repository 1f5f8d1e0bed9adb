"""From Airflow connections, in every form in which a user may write them, to requests."""

from __future__ import annotations

import json
import logging
import socket
import ssl
import threading
import traceback
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

import pytest
from airflow.providers.common.compat.sdk import (
    AirflowException,
    AirflowFailException,
    AirflowNotFoundException,
    Connection,
)

from tests.support import TOKEN, ScriptedHandler, ScriptedServer, operation, scripted_server
from toloka_airflow._internal.troubleshooting import with_link
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import (
    TolokaApiError,
    TolokaConflictError,
    TolokaConnectionError,
    TolokaError,
    TolokaNotSentError,
    TolokaOperationError,
    TolokaQuotaError,
    TolokaRetryableError,
    TolokaTimeoutError,
)
from toloka_airflow.api.ids import checked_id
from toloka_airflow.api.models import Operation
from toloka_airflow.api.settings import ClientSettings
from toloka_airflow.get_provider_info import get_provider_info
from toloka_airflow.hooks import TolokaHook, client_from_connection, settings_from_connection, task_error, task_errors

REQUESTER = {"id": "r-1", "balance": 121.3, "public_name": {"EN": "Jack Smith"}}
FIELDS = get_provider_info()["connection-types"][0]["conn-fields"]


def define(monkeypatch: pytest.MonkeyPatch, value: str | dict[str, Any], name: str = "toloka_default") -> TolokaHook:
    """Define a connection in the environment, and return a hook for it."""
    text = value if isinstance(value, str) else json.dumps({"conn_type": "toloka", **value})
    monkeypatch.setenv(f"AIRFLOW_CONN_{name.upper()}", text)
    return TolokaHook(name)


def made(**fields: Any) -> TolokaClient:
    """Return the client for a connection with these fields and the usual token."""
    extra = fields.pop("extra", None)
    text = extra if isinstance(extra, str) or extra is None else json.dumps(extra)
    conn = Connection(conn_id="my_toloka", conn_type="toloka", **{"password": TOKEN, **fields}, extra=text)
    return client_from_connection(conn)


def refused(**fields: Any) -> str:
    """Return why a connection cannot be used, after looking for secrets in all that a log could show."""
    with pytest.raises(ValueError, match=r"^Connection 'my_toloka': ") as caught:
        made(**fields)
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__
    text = "".join(traceback.format_exception(caught.value)).split("ValueError: ", 1)[1]
    for secret in (TOKEN, "sesame"):
        assert secret not in text
    return str(caught.value)


class TestForms:
    """Airflow's own parsing of a connection, and who is asked with which token in the end."""

    def ask(self, server: ScriptedServer, hook: TolokaHook) -> dict[str, str]:
        server.answer("GET", "/requester", json=REQUESTER)
        hook.get_conn().without_retries().get_requester()
        return server.seen[-1].headers

    def test_json(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        extra = {"account_id": "acc-1", "auth_scheme": "ApiKey"}
        hook = define(monkeypatch, {"host": server.url, "password": TOKEN, "extra": extra})
        headers = self.ask(server, hook)
        assert headers["Authorization"] == f"ApiKey {TOKEN}"
        assert headers["X-Act-Under-Account-ID"] == "acc-1"

    def test_json_with_extra_as_text(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        hook = define(monkeypatch, {"host": server.url, "password": TOKEN, "extra": '{"account_id": "acc-1"}'})
        assert self.ask(server, hook)["X-Act-Under-Account-ID"] == "acc-1"

    def test_json_without_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert define(monkeypatch, {"password": TOKEN}).get_conn().base_url == "https://toloka.dev"

    def test_uri(self, monkeypatch: pytest.MonkeyPatch) -> None:
        assert define(monkeypatch, f"toloka://:{TOKEN}@/").get_conn().base_url == "https://toloka.dev"

    def test_uri_with_environment(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hook = define(monkeypatch, f"toloka://:{TOKEN}@/?environment=sandbox&timeout=5&verify=true&allow_http=false")
        assert hook.get_conn().base_url == "https://sandbox.toloka.dev"

    def test_uri_with_a_host(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hook = define(monkeypatch, f"toloka://:{TOKEN}@toloka.example.com:8443/?environment=sandbox")
        assert hook.get_conn().base_url == "https://toloka.example.com:8443"

    def test_uri_with_a_schema(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        address = server.url.removeprefix("http://")
        hook = define(monkeypatch, f"toloka://:{TOKEN}@{address}/http")
        assert self.ask(server, hook)["Authorization"] == f"OAuth {TOKEN}"

    def test_uri_with_a_protocol(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """Airflow puts the protocol into the host and leaves the port where it is."""
        address = server.url.removeprefix("http://")
        hook = define(monkeypatch, f"toloka://http://:{TOKEN}@{address}")
        assert self.ask(server, hook)["Authorization"] == f"OAuth {TOKEN}"

    def test_uri_with_an_escaped_host(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        hook = define(monkeypatch, f"toloka://:{TOKEN}@{quote(server.url, safe='')}")
        assert self.ask(server, hook)["Authorization"] == f"OAuth {TOKEN}"

    def test_uri_with_an_escaped_token(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        token = "a/b+c=d%e:f@g"
        address = server.url.removeprefix("http://")
        hook = define(monkeypatch, f"toloka://:{quote(token, safe='')}@{address}/http")
        assert self.ask(server, hook)["Authorization"] == f"OAuth {token}"

    def test_uri_of_the_old_provider(self, monkeypatch: pytest.MonkeyPatch) -> None:
        old = urlencode({"extra__toloka__token": TOKEN, "extra__toloka__environment": "SANDBOX"})
        assert define(monkeypatch, f"toloka://?{old}").get_conn().base_url == "https://sandbox.toloka.dev"

    def test_another_id(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        define(monkeypatch, {"host": "https://wrong.example", "password": "wrong"})
        hook = define(monkeypatch, {"host": server.url, "password": TOKEN}, "second")
        assert self.ask(server, hook)["Authorization"] == f"OAuth {TOKEN}"

    def test_uri_round_trip(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """What Airflow itself writes as the URI of a connection."""
        extra = json.dumps({"account_id": "acc-1", "timeout": 5, "allow_http": False, "proxies": None})
        conn = Connection(conn_id="x", conn_type="toloka", host=server.url, password=TOKEN, extra=extra)
        headers = self.ask(server, define(monkeypatch, conn.get_uri()))
        assert headers["X-Act-Under-Account-ID"] == "acc-1"


class TestAddress:
    @pytest.mark.parametrize(
        ("fields", "url"),
        [
            ({}, "https://toloka.dev"),
            ({"host": ""}, "https://toloka.dev"),
            ({"extra": {"environment": "production"}}, "https://toloka.dev"),
            ({"extra": {"environment": "sandbox"}}, "https://sandbox.toloka.dev"),
            ({"extra": {"environment": "SANDBOX"}}, "https://sandbox.toloka.dev"),
            ({"extra": {"environment": None}}, "https://toloka.dev"),
            ({"extra": {"environment": ""}}, "https://toloka.dev"),
            ({"extra": {"extra__toloka__environment": "SANDBOX"}}, "https://sandbox.toloka.dev"),
            ({"extra": {"extra__toloka__environment": "PRODUCTION"}}, "https://toloka.dev"),
            ({"extra": {"extra__toloka__url": "https://own.example/"}}, "https://own.example"),
            ({"extra": {"url": "https://own.example", "environment": "sandbox"}}, "https://own.example"),
            ({"host": "toloka.example.com"}, "https://toloka.example.com"),
            ({"host": "toloka.example.com", "port": 8443}, "https://toloka.example.com:8443"),
            ({"host": "https://toloka.example.com", "port": 8443}, "https://toloka.example.com:8443"),
            ({"host": "https://toloka.example.com/base/", "port": 8443}, "https://toloka.example.com:8443/base"),
            ({"host": "https://toloka.example.com:8443", "port": 8443}, "https://toloka.example.com:8443"),
            ({"host": "https://toloka.example.com/api/v1"}, "https://toloka.example.com"),
            ({"host": "localhost", "port": 8000, "schema": "http"}, "http://localhost:8000"),
            ({"host": "http://127.0.0.1:8000"}, "http://127.0.0.1:8000"),
            ({"host": "http://[::1]", "port": 8000}, "http://[::1]:8000"),
            ({"host": "https://[2001:db8::1]:1/x", "port": 8000}, "https://[2001:db8::1]:1/x"),
            ({"host": "a.example", "extra": {"environment": "sandbox"}}, "https://a.example"),
            ({"host": "a.example", "extra": {"url": "https://b.example"}}, "https://a.example"),
            ({"host": "http://toloka.lan", "extra": {"allow_http": True}}, "http://toloka.lan"),
            ({"host": "http://toloka.lan", "extra": {"allow_http": "True"}}, "http://toloka.lan"),
        ],
    )
    def test_base_url(self, fields: dict[str, Any], url: str) -> None:
        assert made(**fields).base_url == url

    @pytest.mark.parametrize("order", [1, -1])
    def test_a_new_field_wins_over_its_old_name(self, order: int) -> None:
        """Whatever the order: production costs money."""
        both = [("environment", "sandbox"), ("extra__toloka__environment", "PRODUCTION")]
        assert made(extra=dict(both[::order])).base_url == "https://sandbox.toloka.dev"

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"host": "http://toloka.lan"}, "host is 'http://toloka.lan', which would send the token unencrypted"),
            ({"host": "toloka.lan", "schema": "http"}, "'http://toloka.lan', which would send"),
            ({"host": "http://toloka.lan", "extra": {"allow_http": False}}, "set allow_http in the extra"),
            ({"extra": {"url": "http://toloka.lan"}}, "'http://toloka.lan', which would send"),
            ({"host": "ftp://toloka.dev"}, "host is 'ftp://toloka.dev'"),
            ({"host": "https://user:sesame@toloka.dev"}, "host contains credentials"),
            ({"host": "user:sesame@toloka.dev"}, "host contains credentials"),
            ({"host": "::1", "port": 5}, "host is "),
            ({"host": "toloka.dev", "port": 99999}, "host is 'https://toloka.dev:99999'"),
            ({"host": "https://toloka.dev:port", "port": 5}, "host is "),
            ({"host": "https://[::1", "port": 5}, "host is "),
            (
                {"extra": {"environment": "staging"}},
                "extra.environment is 'staging'; it must be one of production, sandbox, y",
            ),
            ({"extra": {"environment": 5}}, "extra.environment is '5'"),
            ({"host": "a.example", "extra": {"environment": "staging"}}, "extra.environment is 'staging'"),
            ({"extra": {"extra__toloka__environment": "STAGING"}}, "extra.environment is 'staging'"),
        ],
    )
    def test_refused(self, fields: dict[str, Any], message: str) -> None:
        assert message in refused(**fields)


class TestToken:
    def sent(self, server: ScriptedServer, **fields: Any) -> str:
        server.answer("GET", "/requester", json=REQUESTER)
        made(host=server.url, **fields).get_requester()
        return server.seen[0].headers["Authorization"]

    @pytest.mark.parametrize("password", [None, ""])
    @pytest.mark.parametrize("key", ["token", "extra__toloka__token"])
    def test_of_the_old_provider(self, server: ScriptedServer, key: str, password: str | None) -> None:
        assert self.sent(server, password=password, extra={key: "old"}) == "OAuth old"

    def test_the_password_wins(self, server: ScriptedServer) -> None:
        assert self.sent(server, extra={"extra__toloka__token": "old"}) == f"OAuth {TOKEN}"

    @pytest.mark.parametrize("scheme", ["OAuth", "ApiKey"])
    def test_scheme(self, server: ScriptedServer, scheme: str) -> None:
        assert self.sent(server, extra={"auth_scheme": scheme}) == f"{scheme} {TOKEN}"

    @pytest.mark.parametrize("scheme", ["auto", "", None])
    def test_scheme_by_shape(self, server: ScriptedServer, scheme: str | None) -> None:
        key = f"{'k' * 23}.middle.end"
        assert self.sent(server, password=key, extra={"auth_scheme": scheme}) == f"ApiKey {key}"

    @pytest.mark.parametrize(
        ("fields", "message"),
        [
            ({"password": None}, "token is empty; put Toloka's API token into the password of the connection"),
            ({"password": ""}, "token is empty"),
            ({"password": "  "}, "token is empty"),
            ({"password": "", "extra": {"token": ""}}, "token is empty"),
            ({"password": "open sesame"}, "token has characters"),
            ({"password": "", "extra": {"token": "open sesame"}}, "token has characters"),
            ({"password": "", "extra": {"token": {"open": "sesame"}}}, "extra.token is no text"),
            ({"password": "", "extra": {"extra__toloka__token": 5}}, "extra.token is no text"),
            ({"extra": {"auth_scheme": "Bearer"}}, "auth_scheme is 'Bearer'"),
            ({"extra": {"auth_scheme": "oauth"}}, "auth_scheme is 'oauth'"),
            ({"extra": {"account_id": "a b"}}, "account_id is 'a b'"),
            ({"extra": {"account_id": "None"}}, "account_id is 'None'"),
        ],
    )
    def test_refused(self, fields: dict[str, Any], message: str) -> None:
        assert message in refused(**fields)


class TestSettings:
    def test_all_fields(self) -> None:
        extra = {
            "environment": "sandbox",
            "auth_scheme": "ApiKey",
            "account_id": "acc-1",
            "timeout": "5",
            "verify": "false",
            "proxies": "http://u:sesame@proxy:3128",
            "allow_http": "true",
        }
        conn = Connection(conn_id="c", conn_type="toloka", password=TOKEN, extra=json.dumps(extra))
        settings = settings_from_connection(conn)
        proxy = "http://u:sesame@proxy:3128"
        assert settings == ClientSettings(
            TOKEN,
            base_url="https://sandbox.toloka.dev",
            auth_scheme="ApiKey",
            account_id="acc-1",
            timeout=(10.0, 5.0),
            total_timeout=10.0,
            verify=False,
            proxies={"http": proxy, "https": proxy},
            allow_http=True,
        )
        assert client_from_connection(conn).settings == settings
        assert TOKEN not in repr(settings)
        assert "sesame" not in repr(settings)


class TestExtra:
    def test_what_an_untouched_form_saves(self) -> None:
        for empty in (None, ""):
            assert made(extra=dict.fromkeys(FIELDS, empty)).base_url == "https://toloka.dev"

    def test_what_a_form_with_its_defaults_saves(self) -> None:
        defaults = {name: field["schema"].get("default") for name, field in FIELDS.items()}
        assert made(extra=defaults).base_url == "https://toloka.dev"

    @pytest.mark.parametrize("extra", [None, "", "{}"])
    def test_none(self, extra: str | None) -> None:
        assert made(extra=extra).base_url == "https://toloka.dev"

    @pytest.mark.parametrize(
        ("extra", "message"),
        [
            ({"enviroment": "sandbox"}, "extra has unknown fields: enviroment; known are account_id, allow_http, auth"),
            ({"Environment": "sandbox"}, "extra has unknown fields: Environment"),
            ({"extra__toloka__enviroment": "SANDBOX"}, "extra has unknown fields: enviroment"),
            ({"b": 1, "a": "sesame"}, "extra has unknown fields: a, b;"),
            ('{"token": "sesame"', "extra is not JSON"),
            ("token=sesame", "extra is not JSON"),
            ('["sesame"]', "extra must be a JSON object"),
            ('"sesame"', "extra must be a JSON object"),
            ("5", "extra must be a JSON object"),
            ({"timeout": "soon"}, "extra.timeout is 'soon'; it must be a positive number of seconds"),
            ({"timeout": 0}, "extra.timeout is 0"),
            ({"timeout": -1}, "extra.timeout is -1"),
            ({"timeout": "inf"}, "extra.timeout is 'inf'"),
            ({"timeout": "nan"}, "extra.timeout is 'nan'"),
            ({"timeout": [5]}, "extra.timeout is [5]"),
            ({"allow_http": "perhaps"}, "extra.allow_http is 'perhaps'; it must be true or false"),
            ({"allow_http": 1}, "extra.allow_http is 1"),
            ({"verify": "/no/such/bundle.pem"}, "verify is '/no/such/bundle.pem'"),
            ({"verify": "no"}, "verify is 'no'"),
            ({"proxies": '{"http": "http://u:sesame@p:1"'}, "extra.proxies is not JSON"),
            ({"proxies": {"https": "http://u:sesame@"}}, "proxies: the one for 'https' is no address"),
            ({"proxies": {"https": 5}}, "proxies: the one for 'https' is no address"),
            ({"proxies": "http://u:sesame@proxy:port"}, "proxies: the one for 'http' is no address"),
            ({"proxies": ["http://u:sesame@proxy"]}, "extra.proxies is neither an address nor an object"),
            ({"proxies": 5}, "extra.proxies is neither an address nor an object"),
        ],
    )
    def test_refused(self, extra: Any, message: str) -> None:
        assert message in refused(extra=extra)

    def test_an_unknown_field_is_refused_in_the_environment_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        hook = define(monkeypatch, f"toloka://:{TOKEN}@/?enviroment=sandbox")
        with pytest.raises(ValueError, match="Connection 'toloka_default': extra has unknown fields: enviroment"):
            hook.get_conn()

    @pytest.mark.parametrize("timeout", [0.2, "0.2"])
    def test_timeout(self, timeout: Any) -> None:
        with socket.create_server(("127.0.0.1", 0)) as silent:
            client = made(host=f"http://127.0.0.1:{silent.getsockname()[1]}", extra={"timeout": timeout})
            with pytest.raises(TolokaConnectionError, match=r"read timeout=0\.2\b"):
                client.without_retries().get_requester()

    @pytest.mark.parametrize("form", ["text", "object", "JSON", "without scheme"])
    def test_proxies(self, server: ScriptedServer, form: str) -> None:
        proxies = {
            "text": server.url,
            "object": {"http": server.url},
            "JSON": json.dumps({"http": server.url}),
            "without scheme": server.url.removeprefix("http://"),
        }[form]
        client = made(host="http://toloka.lan", extra={"proxies": proxies, "allow_http": True})
        with pytest.raises(TolokaApiError, match="NOT_SCRIPTED"):
            client.get_requester()
        assert server.unexpected == ["GET http://toloka.lan/api/v1/requester"]
        server.unexpected.clear()


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[ScriptedServer]:
    """A proxy that the environment names for everything; what comes to it, it notes as unexpected."""
    with scripted_server() as proxy:
        for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        yield proxy


class TestProxies:
    """The token goes unencrypted to another machine only if the connection has `allow_http`."""

    @pytest.mark.parametrize("extra", [{}, {"allow_http": True}])
    @pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
    def test_a_loopback_address_is_reached_without_those_of_the_environment(
        self, server: ScriptedServer, proxy: ScriptedServer, name: str, extra: dict[str, Any]
    ) -> None:
        server.answer("GET", "/requester", json=REQUESTER)
        made(host=server.url.replace("127.0.0.1", name), extra=extra).get_requester()
        assert len(server.seen) == 1
        assert proxy.unexpected == []

    def test_another_machine_is_reached_through_that_of_the_environment(self, proxy: ScriptedServer) -> None:
        client = made(host="http://toloka.lan", extra={"allow_http": True})
        with pytest.raises(TolokaApiError, match="NOT_SCRIPTED"):
            client.get_requester()
        assert proxy.unexpected == ["GET http://toloka.lan/api/v1/requester"]

    def test_the_connection_may_name_one_for_a_loopback_address(
        self, server: ScriptedServer, proxy: ScriptedServer
    ) -> None:
        client = made(host=server.url, extra={"allow_http": True, "proxies": proxy.url})
        with pytest.raises(TolokaApiError, match="NOT_SCRIPTED"):
            client.get_requester()
        assert proxy.unexpected == [f"GET {server.url}/api/v1/requester"]

    @pytest.mark.parametrize(
        "proxies", ["proxy.lan:3128", {"all": "http://proxy.lan"}, {"http://localhost": "http://p"}]
    )
    def test_but_not_without_a_word(self, proxies: Any) -> None:
        with pytest.raises(ValueError, match=r"proxies: .* unencrypted from http://localhost:1 .* allow_http"):
            made(host="http://localhost:1", extra={"proxies": proxies})

    def test_one_for_https_does_not_concern_a_plain_address(self) -> None:
        made(host="http://localhost:1", extra={"proxies": {"https": "http://proxy.lan"}})


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed, with its key in the same file."""
    from ipaddress import ip_address

    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "toloka test")])
    now = datetime.now(UTC)
    address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(address, critical=False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "bundle.pem"
    pem = serialization.Encoding.PEM
    path.write_bytes(
        signed.public_bytes(pem)
        + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return path


class TestCertificates:
    @pytest.fixture
    def tls(self, certificate: Path) -> Iterator[ScriptedServer]:
        httpd = ThreadingHTTPServer(("127.0.0.1", 0), ScriptedHandler)
        httpd.daemon_threads = True
        httpd.handle_error = lambda *args: None  # type: ignore[method-assign]  # the client hangs up on purpose
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        httpd.socket = context.wrap_socket(httpd.socket, server_side=True)
        script = ScriptedServer(url=f"https://127.0.0.1:{httpd.server_port}")
        httpd.script = script  # type: ignore[attr-defined]
        thread = threading.Thread(target=httpd.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        script.answer("GET", "/requester", json=REQUESTER)
        yield script
        httpd.shutdown()
        httpd.server_close()
        thread.join()

    @pytest.mark.parametrize("verify", [None, "", "true", "True", True])
    def test_checked(self, tls: ScriptedServer, verify: Any) -> None:
        client = made(host=tls.url, extra={"verify": verify}).without_retries()
        with pytest.raises(TolokaConnectionError, match="CERTIFICATE_VERIFY_FAILED"):
            client.get_requester()
        assert tls.seen == []

    def test_against_a_bundle(self, tls: ScriptedServer, certificate: Path) -> None:
        client = made(host=tls.url, extra={"verify": str(certificate)}).without_retries()
        assert client.get_requester().id == "r-1"

    @pytest.mark.parametrize("verify", ["false", "False", False])
    def test_unchecked_on_request(self, tls: ScriptedServer, verify: Any) -> None:
        client = made(host=tls.url, extra={"verify": verify}).without_retries()
        with pytest.warns(match="Unverified HTTPS request"):
            assert client.get_requester().id == "r-1"


class TestHook:
    def test_constructor_only_stores(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Not even a missing or broken connection matters to a Dag that is parsed."""

        def forbidden(*args: Any) -> None:
            raise AssertionError("the constructor opened a socket")

        monkeypatch.setattr(socket, "socket", forbidden)
        monkeypatch.setenv("AIRFLOW_CONN_BROKEN", "{")
        assert TolokaHook("missing").toloka_conn_id == "missing"
        assert TolokaHook("broken").toloka_conn_id == "broken"
        assert TolokaHook().toloka_conn_id == "toloka_default"

    def test_connection_good(self, server: ScriptedServer, connection: str) -> None:
        server.answer("GET", "/requester", json=REQUESTER)
        good, message = TolokaHook(connection).test_connection()
        assert good
        assert message == f"Connected to {server.url} as Jack Smith (r-1), balance 121.3"

    def test_connection_good_without_a_name(self, server: ScriptedServer, connection: str) -> None:
        server.answer("GET", "/requester", json={"id": "r-1"})
        good, message = TolokaHook(connection).test_connection()
        assert good
        assert message == f"Connected to {server.url} as r-1, balance unknown"

    @pytest.mark.parametrize(
        ("answer", "message"),
        [
            ({"status": 401, "json": {"code": "AUTHENTICATION_ERROR", "message": TOKEN}}, "Check the token"),
            ({"status": 403, "json": {"code": "ACCESS_DENIED"}}, "ACCESS_DENIED"),
            ({"status": 503, "json": {"code": "BUSY"}}, "503 BUSY"),
            ({"status": 429, "json": {"code": "X", "payload": {"interval": "DAY"}}}, "429"),
            ({"status": 200, "body": f"<html>{TOKEN}</html>".encode()}, "not JSON"),
            ({"status": 200, "json": {"Authorization": f"OAuth {TOKEN}"}}, "has no 'id'"),
            ({"status": 200, "json": []}, "has no 'id'"),
            ({"status": 204}, "has no 'id'"),
            ({"status": 302, "headers": {"Location": "https://login.example"}}, "redirect"),
            ({"drop": True}, "got no answer"),
        ],
    )
    def test_connection_bad(
        self, server: ScriptedServer, connection: str, answer: dict[str, Any], message: str
    ) -> None:
        server.answer("GET", "/requester", **answer)
        good, text = TolokaHook(connection).test_connection()
        assert not good
        assert message in text
        assert TOKEN not in text
        assert len(server.seen) == 1

    @pytest.mark.parametrize(
        ("value", "message"),
        [
            ({"host": "http://127.0.0.1:1", "password": TOKEN}, "got no answer from http://127.0.0.1:1"),
            ({"password": ""}, "token is empty"),
            ({"host": "http://toloka.lan", "password": TOKEN}, "unencrypted"),
            ({"password": TOKEN, "extra": {"verify": "/no/such/file"}}, "verify is '/no/such/file'"),
            ({"password": TOKEN, "extra": {"proxies": "http://user:sesame@"}}, "proxies"),
            ({"password": TOKEN, "extra": {"proxies": "http://user:sesame@a..b:80"}}, "proxies"),
            ({"host": "https://a..b", "password": TOKEN}, "host is"),
            ({"host": "https://no-such-host.invalid", "password": TOKEN}, "the name of the host was not found"),
            ({"host": "http://127.0.0.1:1", "password": TOKEN}, "nothing listens at this address"),
            ({"password": TOKEN, "extra": {"enviroment": "sandbox"}}, "unknown fields"),
        ],
    )
    def test_connection_that_cannot_be_used(
        self,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
        value: dict[str, Any],
        message: str,
    ) -> None:
        good, text = define(monkeypatch, value).test_connection()
        assert not good
        assert message in text
        assert TOKEN not in text
        assert "sesame" not in text
        assert "trying again" not in caplog.text
        # Airflow tests what is in the form under an id that it makes up.
        assert "onnection '" not in text
        assert "Max retries" not in text

    def test_https_to_what_speaks_http(self, server: ScriptedServer, monkeypatch: pytest.MonkeyPatch) -> None:
        """A host without a scheme is https, and a local Toloka speaks http."""
        host = server.url.removeprefix("http://")
        good, text = define(monkeypatch, {"host": host, "password": TOKEN}).test_connection()
        assert not good
        assert f"got no answer from https://{host}: what answers there speaks no https; write http:// before" in text

    def test_connection_that_is_not_defined(self) -> None:
        good, text = TolokaHook("nobody_defined_me").test_connection()
        assert not good
        assert "nobody_defined_me" in text
        # A script does not see the database, in which it may well be.
        assert "`airflow-toloka doctor --conn-id nobody_defined_me`" in text

    def test_get_conn_of_what_is_not_defined(self) -> None:
        with pytest.raises(AirflowNotFoundException, match="nobody_defined_me"):
            TolokaHook("nobody_defined_me").get_conn()

    def test_the_token_is_in_no_log(
        self, server: ScriptedServer, connection: str, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        server.answer("GET", "/requester", json=REQUESTER)
        hook = TolokaHook(connection)
        client = hook.get_conn()
        client.get_requester()
        assert TOKEN not in caplog.text
        assert TOKEN not in f"{hook!r} {vars(hook)} {client!r} {vars(client)}"


class TestTaskErrors:
    """Which errors Airflow may try again, and which it must not."""

    FAILED = Operation.from_api(operation("FAIL"))
    TRANSIENT = (
        TolokaConnectionError("no answer", may_have_been_received=True),
        TolokaRetryableError("GET /x", status=503, retry_after=7.0),
        TolokaQuotaError("GET /x", status=429, payload={"interval": "DAY"}),
        TolokaOperationError(FAILED),
        TolokaTimeoutError("too late"),
        TolokaNotSentError("an orphan"),
    )
    PERMANENT = (TolokaApiError("GET /x", status=401), TolokaError("no list"))
    CONFLICT = TolokaConflictError("POST /x", status=409, code="EMPTY_POOL")

    def raised(self, error: Exception, **arguments: Any) -> AirflowException:
        """Return what a task raises: Airflow's and ours, with the facts of ours, and a name that can be imported."""
        with pytest.raises(AirflowException) as caught, task_errors(**arguments):
            raise error
        assert caught.value.__cause__ is error
        assert isinstance(caught.value, type(error))
        text = with_link(str(error), getattr(error, "topic", "arguments"))
        assert (str(caught.value), repr(vars(caught.value))) == (text, repr(vars(error)))
        named, *_ = traceback.format_exception_only(error)
        assert traceback.format_exception_only(caught.value)[0].startswith(named.rstrip(".\n"))
        return caught.value

    @pytest.mark.parametrize("must_be_done", [False, True])
    @pytest.mark.parametrize("error", TRANSIENT)
    def test_may_pass(self, error: TolokaError, must_be_done: bool) -> None:
        assert not isinstance(self.raised(error, must_be_done=must_be_done), AirflowFailException)

    @pytest.mark.parametrize("error", [*PERMANENT, CONFLICT])
    def test_is_final(self, error: TolokaError) -> None:
        assert isinstance(self.raised(error), AirflowFailException)

    @pytest.mark.parametrize("error", PERMANENT)
    def test_is_not_final_for_what_must_be_done(self, error: TolokaError) -> None:
        assert not isinstance(self.raised(error, must_be_done=True), AirflowFailException)

    def test_the_state_of_a_pool_is_final_for_what_must_be_done(self) -> None:
        assert isinstance(self.raised(self.CONFLICT, must_be_done=True), AirflowFailException)

    def test_what_was_decided_is_not_decided_again(self) -> None:
        with pytest.raises(TolokaApiError) as caught, task_errors():
            raise task_error(TolokaApiError("GET /x", status=409), AirflowException)
        assert not isinstance(caught.value, AirflowFailException)

    @pytest.mark.parametrize("must_be_done", [False, True])
    def test_an_argument(self, must_be_done: bool) -> None:
        with pytest.raises(ValueError, match="pool_id is '1/2'") as caught, task_errors(must_be_done=must_be_done):
            checked_id("pool_id", "1/2")
        assert isinstance(caught.value, AirflowException)
        assert isinstance(caught.value, AirflowFailException) != must_be_done
        assert traceback.format_exception_only(caught.value)[0].startswith("ValueError: ")

    def test_a_value_error_of_others(self) -> None:
        with pytest.raises(ValueError) as caught, task_errors():
            int("much")
        assert type(caught.value) is ValueError

    def test_others_are_left_alone(self) -> None:
        with pytest.raises(ZeroDivisionError), task_errors():
            raise ZeroDivisionError

    def test_no_error(self) -> None:
        with task_errors():
            pass


class TestEnvironments:
    @pytest.mark.parametrize("token", [TOKEN, "a" * 23 + ".bb.cc"])
    def test_yandex_tasks(self, token: str) -> None:
        """Which documents no other scheme than OAuth, whatever the token is shaped like."""
        client = made(password=token, extra={"environment": "yandex_tasks"})
        assert client.settings.authorization == f"OAuth {token}"
        assert client.base_url == "https://tasks.yandex.ru"
        assert client.project_web_url("10") == "https://platform.tasks.yandex.ru/requester/project/10"
        assert client.in_currency("12.5") == "12.5"

    def test_another_scheme_is_left_to_the_user(self) -> None:
        client = made(extra={"environment": "yandex_tasks", "auth_scheme": "ApiKey"})
        assert client.settings.authorization == f"ApiKey {TOKEN}"

    @pytest.mark.parametrize(
        ("base_url", "amount"),
        [
            ("https://toloka.dev", "12.5 USD"),
            ("https://sandbox.toloka.dev", "12.5 USD"),
            ("https://tasks.yandex.ru", "12.5"),
            ("https://own.example", "12.5"),
        ],
    )
    def test_amounts(self, base_url: str, amount: str) -> None:
        assert TolokaClient(ClientSettings(TOKEN, base_url=base_url)).in_currency("12.5") == amount
