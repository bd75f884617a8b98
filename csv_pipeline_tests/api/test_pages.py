"""Pages are rendered on the server, escape what is in files, and hold nothing inline."""

import html
import io
import re
import zipfile
from collections.abc import Callable
from html.parser import HTMLParser

import pytest
import sqlalchemy as sa
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.account import Account
from csv_pipeline.api.app import make_app
from csv_pipeline.api.gate import COOKIE
from csv_pipeline.api.pages.page import SECURITY_POLICY
from csv_pipeline.api.service import Service
from csv_pipeline.engine.accounts import declare
from csv_pipeline.storage import accounts, tokens
from csv_pipeline_tests.conftest import Desk

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
            text, _ = tokens.make(connection, "anna", account=account, scopes=list(Scope))
        caller = TestClient(
            make_app(service), headers={"Accept": "text/html"}, raise_server_exceptions=False
        )
        assert caller.post("/login", data={"token": text}).status_code in {200, 404}
        return caller

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
        text, _ = tokens.make(connection, "anna", account=account, scopes=[Scope.READ])
    caller = TestClient(make_app(service), base_url="https://testserver", follow_redirects=False)
    answer = caller.post("/login", data={"token": text, "next": "/patterns"})
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
        text, _ = tokens.make(connection, "anna", account=account, scopes=[Scope.READ])
    caller = TestClient(make_app(service), follow_redirects=False)
    answer = caller.post("/login", data={"token": text, "next": foreign})
    assert answer.headers["location"] == "/"


def test_a_browser_whose_session_ended_is_asked_to_log_in_and_led_back(
    browser: Browser, service: Service, account: str
) -> None:
    caller = browser(account)
    with service.pipeline.database.begin() as connection:
        for token in tokens.listed(connection, account):
            tokens.revoke(connection, token.token_id)
    answer = caller.get("/patterns")
    assert answer.url.path == "/login"
    assert "Your session has ended" in answer.text
    assert 'name="next" value="/patterns"' in answer.text
    hold_to_form(answer.text)
    assert caller.get("/patterns.json").status_code == 401


def test_a_token_that_is_none_opens_nothing(service: Service) -> None:
    caller = TestClient(make_app(service), headers={"Accept": "text/html"})
    answer = caller.post("/login", data={"token": "csvp_no"})
    assert answer.status_code == 401
    assert "valid now was needed" in answer.text
    assert COOKIE not in caller.cookies


def test_a_form_without_the_word_of_its_session_changes_nothing(
    browser: Browser, account: str
) -> None:
    caller = browser(account)
    assert caller.post("/logout").status_code == 403
    csrf = hold_to_form(caller.get("/patterns").text).csrf
    assert caller.get("/patterns").url.path == "/patterns"
    caller.post("/logout", data={"csrf": csrf})
    assert caller.get("/patterns").url.path == "/login"


def test_a_call_of_the_api_with_a_cookie_needs_the_word_of_its_session(
    browser: Browser, account: str
) -> None:
    caller = browser(account)
    there = f"/api/v1/uploads/{account}/people.csv?feed=people"
    assert caller.put(there, content="ID,Name\n1,a\n").json()["code"] == "other_site"
    csrf = hold_to_form(caller.get("/patterns").text).csrf
    answer = caller.put(there, content="ID,Name\n1,a\n", headers={"X-CSRF-Token": csrf})
    assert answer.status_code == 201, answer.text


PEOPLE = (
    "ID,Name,Secret,Amount\n"
    "1,<script>alert(1)</script>,111,1.00\n"
    "2,=cmd()|'/c calc'!A1,222,2.00\n"
    '3,bad,333,"<b>x</b>"\n'
    "4,worse,444,y\n"
)


class Visitor:
    """Somebody who looks at pages and posts the forms on them."""

    def __init__(self, browser: TestClient) -> None:
        self.browser, self.text, self.path = browser, "", ""

    def open(self, address: str) -> str:
        answer = self.browser.get(address)
        assert answer.status_code == 200, answer.text
        hold_to_form(answer.text)
        self.text, self.path = answer.text, answer.url.path
        return answer.text

    def post(self, address: str, **fields: str) -> str:
        csrf = hold_to_form(self.text).csrf
        answer = self.browser.post(address, data={"csrf": csrf, **fields})
        assert answer.status_code == 200, answer.text
        hold_to_form(answer.text)
        self.text, self.path = answer.text, answer.url.path
        return answer.text

    def send(self, content: str | bytes, **fields: str) -> str:
        self.open("/imports/new")
        csrf = hold_to_form(self.text).csrf
        answer = self.browser.post(
            "/imports/new",
            data={"csrf": csrf, **fields},
            files={"file": ("people.csv", content, "text/csv")},
        )
        assert answer.status_code == 200, answer.text
        self.text, self.path = answer.text, answer.url.path
        return answer.text


@pytest.fixture
def visitor(browser: Browser, account: str) -> Visitor:
    """A visitor who has logged in for the test's account."""
    return Visitor(browser(account))


def test_a_file_is_checked_imported_corrected_and_taken_back_without_javascript(
    visitor: Visitor, desk: Desk
) -> None:
    checked = visitor.send(PEOPLE, account=desk.account, feed="people", check="true")
    assert "Nothing has been stored yet" in checked
    assert "&lt;script&gt;alert(1)" in checked
    assert "<script>alert" not in checked
    assert desk.rows() == []
    upload = visitor.path.split("/")[2]
    imported = visitor.post(f"/imports/{upload}/import")
    assert "2 rows were not imported" in imported
    assert len(desk.rows()) == 2
    rejects = visitor.open(f"/imports/{upload}/rejects")
    assert "&lt;b&gt;x&lt;/b&gt;" in rejects
    assert "<b>x" not in rejects
    visitor.post(f"/imports/{upload}/rejects", row="4", column="Amount", value="3.00")
    found = visitor.post(f"/imports/{upload}/rejects/replace", find="y", put="4.00")
    assert "It would change 1 cell in 1 row" in found
    visitor.post(f"/imports/{upload}/rejects/replace", find="y", put="4.00", sure="true")
    assert 'value="4.00"' in visitor.text
    visitor.post(f"/imports/{upload}/rejects/take-back")
    assert 'value="4.00"' not in visitor.text
    visitor.post(f"/imports/{upload}/rejects/import")
    assert "Every row is imported" in visitor.text
    assert len(desk.rows()) == 3
    repair = visitor.path
    assert "1 row that it brought" in _plain(visitor.open(f"{repair}/undo"))
    visitor.post(f"{repair}/undo")
    assert "Taken back by import" in visitor.text
    assert len(desk.rows()) == 2


def test_a_name_that_fills_two_columns_is_shown_with_both_and_corrected_in_place(
    visitor: Visitor, desk: Desk
) -> None:
    orders = (
        "Order ID,Buyer Name,Order Total,Order Date\n7100000000000000001,Ann,12.5O,2026-06-14\n"
    )
    desk.declare(feed="ebay_orders", max_rejected_share=1.0)
    checked = visitor.send(orders, account=desk.account, feed="ebay_orders", check="true")
    assert "total_price, currency" in checked
    upload = visitor.path.split("/")[2]
    visitor.post(f"/imports/{upload}/import")
    assert 'aria-label="Row 2, Order Total"' in visitor.open(f"/imports/{upload}/rejects")


def test_what_a_name_in_the_header_is_is_remembered_for_the_account(
    visitor: Visitor, desk: Desk
) -> None:
    visitor.send(
        "ID,Vorname,Amount\n1,Ada,1.00\n", account=desk.account, feed="people", check="true"
    )
    assert 'aria-label="Column that Vorname is"' in visitor.text
    upload = visitor.path.split("/")[2]
    again = visitor.post(
        f"/imports/{upload}/check/settings",
        setting="aliases",
        entry="Vorname",
        value="name",
        scope="header",
    )
    assert "as settled for files with this header on" in again
    settings = visitor.open(f"/accounts/{desk.account}")
    assert "Vorname = name" in settings
    forgotten = visitor.post(f"/accounts/{desk.account}/forget", **_form_of(settings, "forget"))
    assert "Nothing is declared" in forgotten


def test_a_discarded_file_leaves_nothing(visitor: Visitor, desk: Desk) -> None:
    visitor.send(PEOPLE, account=desk.account, feed="people", check="true")
    upload = visitor.path.split("/")[2]
    assert "Nothing of it was stored" in visitor.post(f"/imports/{upload}/discard")
    assert "Discarded" in visitor.open(f"/imports/{upload}")


def test_what_needs_somebody_is_the_first_thing_on_the_overview(
    visitor: Visitor, desk: Desk
) -> None:
    assert "Import your first file" in visitor.open("/")
    desk.bring(PEOPLE)
    desk.bring("Foo;Bar\n1;2\n")
    home = visitor.open("/")
    assert "2 rows were not imported." in home
    assert "Feed &#39;people&#39; needs the column &#39;ID&#39;;" in home
    assert "also known as" not in home
    assert visitor.browser.get("/index.json").json()["needs"][0]["state"] == "refused"


def test_pages_of_another_account_are_not_there(browser: Browser, desk: Desk) -> None:
    report = desk.bring(PEOPLE)
    stranger = browser("somebody-else")
    for page in ("", "/rejects", "/undo", ".json", "/live"):
        assert stranger.get(f"/imports/{report.import_id}{page}").status_code == 404, page
    assert stranger.get(f"/accounts/{desk.account}").status_code == 404
    assert desk.account not in stranger.get("/history").text
    assert desk.account not in stranger.get("/").text


@pytest.mark.parametrize(
    "address", ["/history", "/feeds", "/feeds/people", "/accounts", "/imports/new", "/patterns"]
)
def test_every_page_is_in_form(visitor: Visitor, address: str) -> None:
    visitor.open(address)
    if address != "/imports/new":
        assert visitor.browser.get(f"{address}.json").headers["content-type"] == "application/json"


def test_a_problem_is_a_page_to_a_browser_and_json_to_a_script(visitor: Visitor) -> None:
    answer = visitor.browser.get("/imports/99999999")
    assert answer.status_code == 404
    hold_to_form(answer.text)
    script = visitor.browser.get("/imports/99999999", headers={"Accept": "application/json"})
    assert script.json()["code"] == "unknown_import"


def test_a_page_of_a_feed_gives_the_template_of_the_api(visitor: Visitor) -> None:
    assert "/feeds/people/template.csv" in visitor.open("/feeds/people")
    here, there = (
        visitor.browser.get(f"{root}/feeds/people/template.csv") for root in ("", "/api/v1")
    )
    assert (here.status_code, here.content) == (200, there.content)


def _plain(text: str) -> str:
    return re.sub(r"<[^>]+>", "", text)


def _form_of(text: str, field: str) -> dict[str, str]:
    """Return the fields of the form that has one of this name, but for the session's word."""
    (form,) = re.findall(rf'<form(?:(?!</form>).)*name="{field}".*?</form>', text, re.DOTALL)
    found = dict(re.findall(r'name="(\w+)" value="([^"]*)"', form))
    return {name: html.unescape(value) for name, value in found.items() if name != "csrf"}


def test_a_question_is_answered_ignored_or_looked_into(visitor: Visitor, desk: Desk) -> None:
    visitor.send("Tag,Mood\nA1,soldd\nA2,sold\n", account=desk.account, feed="moods", check="true")
    here = visitor.path
    assert "unknown mood" in visitor.text
    assert "Map to sold, and check again" in _plain(visitor.text)
    assert "Map to sold" not in visitor.open(f"{here}?left=1")
    assert "1 ignored" in visitor.text
    form = _form_of(visitor.open(here), "answer")
    strange = visitor.browser.post(
        f"{here}/remedy", data=form | {"value": "mood:x=sold", "csrf": Outline(visitor.text).csrf}
    )
    assert (strange.status_code, "question" in strange.text) == (422, True)
    visitor.open(here)
    visitor.post(f"{here}/remedy", **form)
    assert "unknown mood" not in visitor.text
    assert "mood:soldd = sold" in _plain(visitor.open(f"/accounts/{desk.account}")).replace(
        "mood: soldd", "mood:soldd"
    )


def test_of_which_feed_a_file_is_can_be_chosen(visitor: Visitor, desk: Desk) -> None:
    visitor.send("Foo,Bar\n1,2\n", account=desk.account, check="true")
    assert "Of which feed is it?" in visitor.text
    visitor.post(f"{visitor.path}/again", feed="people")
    assert "Of which feed is it?" not in visitor.text


def test_each_file_of_an_archive_is_shown_and_what_is_refused_is_not_counted(
    visitor: Visitor, desk: Desk
) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.csv", "ID,Name,Amount\n1,one,1.00\n2,two,x\n")
        archive.writestr("b.csv", "Foo;Bar\n1;2\n")
    checked = visitor.send(packed.getvalue(), account=desk.account, feed="people", check="true")
    assert "Files in it" in checked
    assert "Import 1 row<" in checked


def test_a_token_is_shown_once_and_revoked(visitor: Visitor, desk: Desk) -> None:
    visitor.open("/tokens")
    made = visitor.post("/tokens", name="the ERP", account=desk.account, scopes="read")
    (text,) = re.findall(r'value="(csvp_[^"]+)"', made)
    headers = {"Authorization": f"Bearer {text}"}
    assert visitor.browser.get("/index.json", headers=headers).status_code == 200
    assert text not in visitor.open("/tokens")
    number = max(int(one) for one in re.findall(r"/tokens/(\d+)/revoke", visitor.text))
    assert "revoked" in visitor.post(f"/tokens/{number}/revoke")
    assert visitor.browser.get("/index.json", headers=headers).status_code == 401
    log = visitor.open("/audit")
    assert "token made" in log
    assert text not in log


def test_who_is_no_admin_sees_no_tokens_and_no_log(service: Service, account: str) -> None:
    with service.pipeline.database.begin() as connection:
        accounts.add(connection, account)
        text, _ = tokens.make(connection, "eve", account=account, scopes=[Scope.UPLOAD])
    caller = TestClient(make_app(service), headers={"Accept": "text/html"})
    caller.post("/login", data={"token": text})
    for path in ("/tokens", "/audit", "/tokens.json", "/audit.json"):
        assert caller.get(path).status_code == 403, path
    assert "/tokens" not in caller.get("/imports/new").text


def test_a_button_on_the_overview_dismisses_what_needs_nobody(visitor: Visitor, desk: Desk) -> None:
    refused = desk.bring("Colour,Size\nred,3\n")
    there = f"/imports/{refused.import_id}/dismiss"
    assert f'action="{there}"' in visitor.open("/")
    assert there not in visitor.post(there)
    assert visitor.path == "/"


def test_an_overdue_account_is_on_the_overview_with_what_helps(
    visitor: Visitor, desk: Desk
) -> None:
    desk.bring("ID,Name,Secret,Amount\n1,Ann,1,1.00\n")
    declare(desk.pipeline, Account(account=desk.account), {"expected_every": "1h"})
    with desk.pipeline.database.begin() as connection:
        earlier = "UPDATE csv_pipeline.arrival SET seen_at = now() - interval '2 hours' "
        connection.execute(sa.text(earlier + "WHERE account = :a"), {"a": desk.account})
    shown = visitor.open("/")
    assert "No file since" in shown
    assert f"/imports/new?account={desk.account}" in shown


def test_a_page_says_of_a_file_that_no_run_works_on_what_may_be_wrong(
    visitor: Visitor, desk: Desk
) -> None:
    claim = desk.claimed("ID,Name,Amount\n1,Ann,1.00\n").claim
    waits = "UPDATE csv_pipeline.arrival SET status = 'waiting', requests = 1, kept_number = :n"
    with desk.pipeline.database.begin() as connection:
        its = {"n": claim.import_id, "a": desk.account}
        connection.execute(sa.text(f"{waits} WHERE account = :a"), its)
    assert "Its run was asked for." in visitor.open(f"/imports/{claim.import_id}")
    with desk.pipeline.database.begin() as connection:
        earlier = "UPDATE csv_pipeline.arrival SET seen_at = now() - interval '2 minutes' "
        connection.execute(sa.text(earlier + "WHERE account = :a"), its)
    assert "csv-pipeline doctor" in visitor.open(f"/imports/{claim.import_id}")


def test_what_is_open_falls_as_rejected_rows_are_imported(visitor: Visitor, desk: Desk) -> None:
    its = desk.bring("ID,Name,Amount\n1,a,x\n2,b,x\n3,c,x\n4,d,x\n").import_id
    here = f"/imports/{its}/rejects"
    assert "4 rows were not imported." in _plain(visitor.open(here))
    for row, value in (("2", "1.00"), ("3", "y"), ("4", "z")):
        visitor.post(here, row=row, column="Amount", value=value)
    assert "Import 3 corrected rows" in _plain(visitor.text)
    visitor.post(f"{here}/import")
    text = _plain(visitor.open(here))
    assert "3 of 4 rejected rows are still open; the other was imported since." in text
    assert "amount (3 of 4 open)" in text
    assert "amount.decimal (3 of 4 open)" in text
    assert "Import 2 corrected rows" in text
    visitor.open(f"/imports/{its}")
    assert "3 of 4 rejected rows are still open" in visitor.text
    assert "Correct 3 rows" in visitor.text
    visitor.open(here)
    for row in ("3", "4"):
        visitor.post(here, row=row, column="Amount", value="2.00")
    assert "2 rows" in _plain(visitor.post(f"{here}/import"))
    assert "data-needs-corrections disabled" in visitor.open(here)
    facts = visitor.browser.get(f"{here}.json").json()
    assert (facts["corrected"], facts["open"], facts["rejected"]) == (0, 1, 4)
    visitor.post(here, row="5", column="Amount", value="2.00")
    visitor.post(f"{here}/import")
    assert "All of 4 rejected rows were imported since." in _plain(visitor.open(here))
    assert "Every rejected row was imported since" in visitor.open(f"/imports/{its}")
    assert "Correct " not in visitor.text


def test_a_check_says_whose_the_file_is_and_whether_the_account_is_new(
    visitor: Visitor, desk: Desk
) -> None:
    ann = "ID,Name,Amount\n1,Ann,1.00\n"
    visitor.send(ann, account=desk.account, feed="people", check="true")
    said = f"For account {desk.account}"
    text = _plain(visitor.text)
    assert f"{said} !new account · feed people" in text
    desk.bring(ann)
    visitor.send("ID,Name,Amount\n2,Bob,1.00\n", account=desk.account, feed="people", check="true")
    assert f"{said} · feed people" in _plain(visitor.text)


def test_an_undo_is_shown_as_one_and_what_it_took_back_is_not_to_correct(
    visitor: Visitor, desk: Desk
) -> None:
    its = desk.bring("ID,Name,Amount\n1,a,1.00\n2,b,x\n").import_id
    undo = desk.pipeline.undo(its).import_id
    assert "Correct" not in _plain(visitor.open(f"/imports/{its}"))
    for page in ("/", "/history"):
        (row,) = re.findall(
            rf'<tr><th[^>]*><a href="/imports/{undo}">.*?</tr>', visitor.open(page), re.DOTALL
        )
        assert f'taken back: <a href="/imports/{its}">import {its}</a>' in row
        assert "imported" not in row
        assert "–undo" in _plain(row)
        assert "is-stored" not in row
        assert not re.search(r"<data", row)
    assert "is-stored" not in visitor.open(f"/imports/{undo}").split("</h1>")[1].split("</div>")[0]


def test_an_import_whose_rows_are_all_rejected_has_no_sign_of_success(
    visitor: Visitor, desk: Desk
) -> None:
    some, none = (
        desk.bring(f"ID,Name,Amount\n{rows}").import_id for rows in ("1,a,1\n2,b,x\n", "3,c,x\n")
    )
    history = visitor.open("/history")
    signs = {
        number: re.search(rf'"/imports/{number}">.*?badge is-(\w+)', history, re.DOTALL)
        for number in (some, none)
    }
    assert [found and found[1] for found in signs.values()] == ["stored", "needs"]


def test_an_undo_tells_of_rows_that_replays_brought_which_stay(
    visitor: Visitor, desk: Desk
) -> None:
    its = desk.bring("ID,Name,Amount\n1,a,1.00\n2,b,x\n3,c,x\n").import_id
    here = f"/imports/{its}/rejects"
    visitor.open(here)
    replays = []
    for row, amount in (("3", "2.00"), ("4", "3.00")):
        visitor.post(here, row=row, column="Amount", value=amount)
        visitor.post(f"{here}/import")
        replays += re.findall(r"Import (\d+) ·", visitor.text)
        visitor.open(here)
    first, second = replays
    stay = f"2 rows that replays (imports {first}, {second}) brought stay"
    assert stay in _plain(visitor.open(f"/imports/{its}/undo"))
    visitor.post(f"/imports/{its}/undo")
    assert len(desk.rows()) == 2
    text = visitor.open(f"/imports/{its}")
    assert f"{stay}." in _plain(text)
    assert f'<a href="/imports/{second}">{second}</a>' in text
    desk.pipeline.undo(int(second))
    assert f"1 row that a replay (import {first}) brought stays" in _plain(
        visitor.open(f"/imports/{its}")
    )


def test_the_field_of_an_account_says_which_letters_it_takes(service: Service) -> None:
    with service.pipeline.database.begin() as connection:
        text, _ = tokens.make(connection, "anna", account=None, scopes=list(Scope))
    caller = TestClient(make_app(service), headers={"Accept": "text/html"})
    caller.post("/login", data={"token": text})
    visitor = Visitor(caller)
    tags = hold_to_form(visitor.open("/imports/new")).tags
    (field,) = [its for tag, its in tags if tag == "input" and its.get("id") == "account"]
    assert "Small letters, digits, - and _" in (field["title"] or "")
    assert field["aria-describedby"] == "account-hint"
    assert "small letters, digits, - and _" in visitor.text
    refused = visitor.send("ID\n1\n", account="My Shop", feed="people")
    assert "My Shop" in refused
