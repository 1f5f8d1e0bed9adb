"""What settings refuse, and what they never show."""

from __future__ import annotations

import copy
import pickle
from dataclasses import FrozenInstanceError, fields, replace

import pytest

from tests.support import TOKEN, ScriptedServer
from toloka_airflow.api.client import TolokaClient
from toloka_airflow.api.errors import TolokaRetryableError
from toloka_airflow.api.settings import ClientSettings


class TestRefused:
    @pytest.mark.parametrize(
        "token", ["", "  ", "OAuth", "OAuth ", "ApiKey  ", "Bearer abc", "se cret", "se\ncret", "se\tcret", "sécret"]
    )
    def test_token(self, token: str) -> None:
        with pytest.raises(ValueError, match=r"token (is empty|has characters)") as caught:
            ClientSettings(token)
        assert not any(part in str(caught.value) for part in ("abc", "cret"))
        assert caught.value.__cause__ is None

    def test_auth_scheme(self) -> None:
        with pytest.raises(ValueError, match="auth_scheme is 'Bearer'"):
            ClientSettings(TOKEN, auth_scheme="Bearer")

    @pytest.mark.parametrize("account_id", ["None", "a b", "a\r\nX-Evil: 1", "á"])
    def test_account_id(self, account_id: str) -> None:
        with pytest.raises(ValueError, match="account_id is "):
            ClientSettings(TOKEN, account_id=account_id)

    @pytest.mark.parametrize(
        "url",
        [
            "",
            "toloka.dev",
            "ftp://toloka.dev",
            "https://",
            "https://?x=1",
            "https://toloka.dev?x=1",
            "https://toloka.dev#x",
            "https://toloka.dev:port",
            "https://toloka.dev:99999",
            "https://[::1",
            "https://toloka.dev ",
            "https://toloka .dev",
            "https://toloka.dev\n",
            "http://toloka.dev",
            "http://127.0.0.1.evil.example",
            "http://localhost.evil.example",
            "http://10.0.0.1:8000",
        ],
    )
    def test_base_url(self, url: str) -> None:
        with pytest.raises(ValueError, match="host"):
            ClientSettings(TOKEN, base_url=url)

    @pytest.mark.parametrize(
        "url",
        [
            "https://user:hidden@toloka.dev",
            "https://hidden@toloka.dev",
            "http://user:hidden@toloka.dev",
            "https://user:hidden@toloka.dev?x=1",
            "ftp://user:hidden@toloka.dev",
            "http://127.0.0.1@hidden.example",
        ],
    )
    def test_base_url_with_credentials_is_not_shown(self, url: str) -> None:
        with pytest.raises(ValueError, match="host contains credentials") as caught:
            ClientSettings(TOKEN, base_url=url)
        assert "hidden" not in str(caught.value)

    def test_http_to_another_machine_needs_a_word(self) -> None:
        with pytest.raises(ValueError, match=r"'http://toloka\.lan'.*allow_http"):
            ClientSettings(TOKEN, base_url="http://toloka.lan")
        assert ClientSettings(TOKEN, base_url="http://toloka.lan", allow_http=True).base_url == "http://toloka.lan"

    @pytest.mark.parametrize("url", ["http://localhost:1", "http://127.0.0.1:1", "http://[::1]:1", "https://x/y"])
    def test_usable_addresses(self, url: str) -> None:
        assert ClientSettings(TOKEN, base_url=url).base_url == url

    def test_certificates_that_do_not_exist(self) -> None:
        with pytest.raises(ValueError, match="verify is '/no/such/file'"):
            ClientSettings(TOKEN, verify="/no/such/file")

    @pytest.mark.parametrize("timeout", [(0, 1.0), (1.0, -1.0), (float("inf"), 1.0), (1.0, float("nan"))])
    def test_timeout(self, timeout: tuple[float, float]) -> None:
        with pytest.raises(ValueError, match=r"timeout is .*; it must be two positive numbers of seconds"):
            ClientSettings(TOKEN, timeout=timeout)

    @pytest.mark.parametrize("name", ["retry_budget", "first_pause"])
    @pytest.mark.parametrize("value", [-1, float("inf"), float("nan")])
    def test_pauses(self, name: str, value: float) -> None:
        with pytest.raises(ValueError, match=f"{name} is {value}"):
            ClientSettings(TOKEN, **{name: value})  # type: ignore[arg-type]


PROXY = "http://user:sesame@proxy.example:3128"
FULL = ClientSettings(
    f"ApiKey {TOKEN}",
    base_url="http://toloka.lan//api/v1/",
    account_id="acc-1",
    timeout=(1.0, 2.0),
    retry_budget=3.0,
    first_pause=4.0,
    verify=False,
    proxies={"https": PROXY},
    allow_http=True,
)


def test_secrets_are_not_shown() -> None:
    assert "base_url='http://toloka.lan'" in repr(FULL)
    for text in (repr(FULL), str(FULL), f"{FULL}", repr([FULL])):
        assert TOKEN not in text
        assert "sesame" not in text


def test_settings_do_not_change() -> None:
    for field in fields(FULL):
        with pytest.raises(FrozenInstanceError):
            setattr(FULL, field.name, None)
    proxies = {"https": PROXY}
    settings = ClientSettings(TOKEN, proxies=proxies)
    proxies["https"] = "changed"
    assert settings.proxies == {"https": PROXY}
    assert hash(settings) == hash(ClientSettings(TOKEN, proxies={"https": PROXY}))


@pytest.mark.parametrize(
    "url", ["https://x/api/v1/api/v1", "https://x//api/v1//", "https://api/v1", "https://x/y/api/v1", "https://x"]
)
def test_copies_are_equal(url: str) -> None:
    settings = replace(FULL, base_url=url)
    assert replace(settings) == settings == copy.deepcopy(settings) == pickle.loads(pickle.dumps(settings))
    assert replace(settings).authorization == settings.authorization == f"ApiKey {TOKEN}"


def test_a_host_called_api() -> None:
    assert ClientSettings(TOKEN, base_url="https://api/v1").base_url == "https://api/v1"


def test_variants_of_a_client_have_the_same_settings() -> None:
    client = TolokaClient(FULL)
    variants = [client.without_retries(), client.with_own_session(), client.without_retries().with_own_session()]
    assert all(variant.settings is client.settings for variant in variants)


@pytest.mark.parametrize("own_session", [False, True])
def test_a_client_without_retries_leaves_them_to_its_caller(server: ScriptedServer, own_session: bool) -> None:
    client = TolokaClient(ClientSettings(TOKEN, base_url=server.url, first_pause=0.01)).without_retries()
    server.error("GET", "/requester", 503, "REMOTE_SERVICE_UNAVAILABLE")
    with pytest.raises(TolokaRetryableError):
        (client.with_own_session() if own_session else client).get_requester()
    assert len(server.seen) == 1
