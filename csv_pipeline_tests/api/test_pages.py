"""Pages are rendered on the server, escape what is in files, and hold nothing inline."""

import re
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.api.app import make_app
from csv_pipeline.api.gate import COOKIE
from csv_pipeline.api.pages.page import SECURITY_POLICY
from csv_pipeline.api.service import Service
from csv_pipeline.storage import accounts, tokens

Browser = Callable[[str], TestClient]
_INLINE = re.compile(
    r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=|javascript:", re.IGNORECASE
)


class Outline(HTMLParser):
    """What is asked of every page: one title, one h1, at most one primary action, ids once."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def count(self, tag: str) -> int:
        return sum(its == tag for its, _ in self.tags)

    @property
    def primary(self) -> int:
        return sum("primary" in (its.get("class") or "").split() for _, its in self.tags)

    @property
    def ids(self) -> list[str]:
        return [its["id"] or "" for _, its in self.tags if "id" in its]

    @property
    def csrf(self) -> str:
        return next(
            its["value"] or "" for tag, its in self.tags if tag == "input" and its["name"] == "csrf"
        )


def hold_to_form(text: str) -> Outline:
    """Hold a page to what is asked of every page."""
    assert not _INLINE.search(text), _INLINE.search(text)
    found = Outline(text)
    assert (found.count("title"), found.count("h1"), found.count("main")) == (1, 1, 1)
    assert found.primary <= 1
    assert len(found.ids) == len(set(found.ids))
    return found


@pytest.fixture
def browser(service: Service) -> Browser:
    """Give a browser in which somebody with a token of an account has logged in."""

    def make(account: str) -> TestClient:
        with service.pipeline.database.begin() as connection:
            accounts.add(connection, account)
            text, _ = tokens.make(connection, "anna", account=account, scopes=list(tokens.Scope))
        client = TestClient(
            make_app(service), headers={"Accept": "text/html"}, raise_server_exceptions=False
        )
        assert client.post("/login", data={"token": text}).status_code in {200, 404}
        return client

    return make


def test_the_patterns_are_in_form_and_escape_hostile_cells(browser: Browser, account: str) -> None:
    answer = browser(account).get("/patterns")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-security-policy"] == SECURITY_POLICY
    assert "unsafe" not in SECURITY_POLICY
    hold_to_form(answer.text)
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in answer.text
    assert "<script>alert" not in answer.text


def test_every_page_has_its_address_with_json(browser: Browser, account: str) -> None:
    answer = browser(account).get("/patterns.json")
    assert answer.headers["content-type"] == "application/json"
    assert "imported" in answer.json()["states"]


def test_the_session_is_a_cookie_that_no_script_and_no_other_site_gets(
    service: Service, account: str
) -> None:
    with service.pipeline.database.begin() as connection:
        accounts.add(connection, account)
        text, _ = tokens.make(connection, "anna", account=account, scopes=[tokens.Scope.READ])
    client = TestClient(make_app(service), base_url="https://testserver", follow_redirects=False)
    answer = client.post("/login", data={"token": text, "next": "/patterns"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/patterns")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "Secure" in cookie
    assert text not in cookie


@pytest.mark.parametrize(
    "foreign", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:alert(1)"]
)
def test_nobody_is_led_to_another_site(service: Service, account: str, foreign: str) -> None:
    with service.pipeline.database.begin() as connection:
        accounts.add(connection, account)
        text, _ = tokens.make(connection, "anna", account=account, scopes=[tokens.Scope.READ])
    client = TestClient(make_app(service), follow_redirects=False)
    answer = client.post("/login", data={"token": text, "next": foreign})
    assert answer.headers["location"] == "/"


def test_a_browser_whose_session_ended_is_asked_to_log_in_and_led_back(
    browser: Browser, service: Service, account: str
) -> None:
    client = browser(account)
    with service.pipeline.database.begin() as connection:
        for token in tokens.listed(connection, account):
            tokens.revoke(connection, token.token_id)
    answer = client.get("/patterns")
    assert answer.url.path == "/login"
    assert "Your session has ended" in answer.text
    assert 'name="next" value="/patterns"' in answer.text
    hold_to_form(answer.text)
    assert client.get("/patterns.json").status_code == 401


def test_a_token_that_is_none_opens_nothing(service: Service) -> None:
    client = TestClient(make_app(service), headers={"Accept": "text/html"})
    answer = client.post("/login", data={"token": "csvp_no"})
    assert answer.status_code == 401
    assert "valid now was needed" in answer.text
    assert COOKIE not in client.cookies


def test_a_form_without_the_word_of_its_session_changes_nothing(
    browser: Browser, account: str
) -> None:
    client = browser(account)
    assert client.post("/logout").status_code == 403
    csrf = hold_to_form(client.get("/patterns").text).csrf
    assert client.get("/patterns").url.path == "/patterns"
    client.post("/logout", data={"csrf": csrf})
    assert client.get("/patterns").url.path == "/login"


def test_a_call_of_the_api_with_a_cookie_needs_the_word_of_its_session(
    browser: Browser, account: str
) -> None:
    client = browser(account)
    there = f"/api/v1/uploads/{account}/people.csv?feed=people"
    assert client.put(there, content="ID,Name\n1,a\n").json()["code"] == "other_site"
    csrf = hold_to_form(client.get("/patterns").text).csrf
    answer = client.put(there, content="ID,Name\n1,a\n", headers={"X-CSRF-Token": csrf})
    assert answer.status_code == 201, answer.text
