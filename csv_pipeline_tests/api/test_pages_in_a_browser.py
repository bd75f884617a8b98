"""The pages in a real browser: what a person does, by mouse, by keys alone, and with no script.

Run by `make test-browser`, which brings Debian's Chromium where it may install packages.
"""

import shutil
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, Route, sync_playwright

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.service import Service
from csv_pipeline.engine.workspace import Stage
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.storage import accounts, arrivals, progress, tokens
from csv_pipeline_tests.conftest import Desk, ingest

pytestmark = pytest.mark.browser
PEOPLE = "ID,Name,Secret,Amount\n1,one,111,1.00\n2,two,222,2.00\n3,bad,333,x\n"
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
Visit = Callable[..., Page]


@pytest.fixture(scope="module")
def address(service: Service) -> Iterator[str]:
    """Where the service answers."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(
        uvicorn.Config(make_app(service), host="127.0.0.1", port=port, log_level="error")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join(timeout=10)


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """The installed Chromium."""
    if CHROMIUM is None:
        pytest.skip("no chromium is installed; make test-browser brings it")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def visit(chromium: Browser, address: str, service: Service, account: str) -> Iterator[Visit]:
    """Give a page in which somebody has logged in for the test's account."""
    contexts = []

    def make(**how: object) -> Page:
        with service.pipeline.database.begin() as connection:
            accounts.add(connection, account)
            text, _ = tokens.make(connection, "anna", account=account, scopes=list(Scope))
        context = chromium.new_context(base_url=address, **how)  # type: ignore[arg-type]
        context.set_default_timeout(60_000)
        contexts.append(context)
        page = context.new_page()
        page.goto("/login")
        page.fill("#token", text)
        page.keyboard.press("Enter")
        page.wait_for_url("**/")
        return page

    yield make
    for context in contexts:
        context.close()


def test_a_dropped_file_is_checked_imported_corrected_and_taken_back_and_back_again(
    visit: Visit, desk: Desk, tmp_path: Path
) -> None:
    page = visit()
    _send(page, tmp_path)
    page.wait_for_selector("text=Nothing has been stored yet")
    assert desk.rows() == []
    page.click("button.primary")
    page.wait_for_selector("text=1 row was not imported")
    page.click("text=Correct 1 row")
    page.fill("input[data-cell]", "3.00")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Row 4 is corrected.")
    page.click("button.primary")
    page.wait_for_selector("text=Every row is imported")
    assert len(desk.rows()) == 3
    page.click("text=Take back")
    page.click("button.primary")
    page.wait_for_selector("text=Taken back by import")
    assert len(desk.rows()) == 2
    page.click("a.primary")
    page.click("text=Bring it back")
    page.click("button.primary")
    page.wait_for_selector("text=Taken back by import")
    assert len(desk.rows()) == 3


def test_it_goes_without_javascript(visit: Visit, desk: Desk, tmp_path: Path) -> None:
    page = visit(java_script_enabled=False)
    page.goto("/imports/new")
    page.select_option("#feed", "people")
    page.set_input_files("#files", _file(tmp_path))
    page.click("text=Send")
    page.wait_for_selector("text=Nothing has been stored yet")
    page.click("button.primary")
    page.wait_for_selector("text=1 row was not imported")
    page.click("text=Correct 1 row")
    page.fill("input[data-cell]", "3.00")
    page.click("text=Store")
    page.click("button.primary")
    page.wait_for_selector("text=Every row is imported")
    assert len(desk.rows()) == 3


def test_cells_are_corrected_by_keys_alone(visit: Visit, desk: Desk) -> None:
    report = desk.bring(PEOPLE + "4,bad,444,y\n")
    page = visit()
    page.goto(f"/imports/{report.import_id}/rejects")
    page.keyboard.press("?")
    page.wait_for_selector("dialog[open]")
    page.keyboard.press("Escape")
    page.focus("input[data-cell]")
    page.keyboard.press("Control+A")
    page.keyboard.type("3.00")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=Row 4 is corrected.")
    page.wait_for_function("document.activeElement.value === 'y'")
    page.keyboard.press("Control+F")
    assert page.evaluate("document.activeElement.id") == "find"
    page.keyboard.type("y")
    page.keyboard.press("Tab")
    page.keyboard.type("4.00")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=It would change 1 cell in 1 row")
    page.focus("button.primary")
    page.keyboard.press("Enter")
    page.wait_for_selector("input[value='4.00']")
    page.keyboard.press("Control+Z")
    page.wait_for_selector("input[value='y']")


def test_cells_are_found_and_replaced_by_mouse(visit: Visit, desk: Desk) -> None:
    report = desk.bring(PEOPLE + "4,bad,444,x\n")
    page = visit()
    page.goto(f"/imports/{report.import_id}/rejects")
    page.fill("#find", "x")
    page.fill("#put", "5.00")
    page.click("text=See what would change")
    page.wait_for_selector("text=It would change 2 cells in 2 rows")
    page.click("button.primary")
    page.wait_for_selector("text=2 cells were changed.")
    page.wait_for_selector("button:has-text('Import 2 corrected rows')")
    page.click("button.primary")
    page.wait_for_selector("text=Every row is imported")
    assert len(desk.rows()) == 4


def test_who_is_logged_out_goes_on_where_it_was(visit: Visit, desk: Desk, service: Service) -> None:
    report = desk.bring(PEOPLE)
    page = visit()
    with service.pipeline.database.begin() as connection:
        for one in tokens.listed(connection, desk.account):
            tokens.revoke(connection, one.token_id)
        text, _ = tokens.make(connection, "anna", account=desk.account, scopes=list(Scope))
    page.goto(f"/imports/{report.import_id}/rejects")
    page.wait_for_selector("text=You were logged out")
    page.fill("#token", text)
    page.keyboard.press("Enter")
    page.wait_for_selector("h1:has-text('Rejected rows')")


def test_a_name_in_the_header_is_mapped_and_known_the_next_time(
    visit: Visit, desk: Desk, tmp_path: Path
) -> None:
    page = visit()
    for name, amount in (("one.csv", "1.00"), ("two.csv", "2.00")):
        path = tmp_path / name
        path.write_text(f"ID,Vorname,Amount\n1,Ada,{amount}\n")
        page.goto("/imports/new")
        page.select_option("#feed", "people")
        page.set_input_files("#files", path)
        page.wait_for_selector("text=Nothing has been stored yet")
        if name == "one.csv":
            page.select_option("[aria-label='Column that Vorname is']", "name")
            page.click("button:has-text('Remember')")
        page.wait_for_selector("text=as last time")
        page.click("button.primary")
        page.wait_for_selector("text=Every row is imported")
    assert [row.name for row in desk.rows(columns="name")] == ["Ada"]


def test_whoever_watches_an_import_sees_how_far_it_is_and_then_its_outcome(
    visit: Visit, desk: Desk
) -> None:
    claim = desk.claimed(PEOPLE).claim
    page = visit()
    page.goto(f"/imports/{claim.import_id}")
    for rows in (40, 80):
        step = progress.Step(
            import_id=claim.import_id, stage=Stage.VALIDATE.value, rows=rows, total_rows=100
        )
        with desk.pipeline.database.begin() as connection:
            progress.store(connection, [step])
        page.wait_for_selector(f"text={rows} of 100 rows")
        page.wait_for_selector("[aria-current=step]:has-text('Checking rules')")
    ingest(desk.pipeline, claim)
    page.wait_for_selector("text=1 row was not imported")


def test_a_file_of_100_mb_goes_on_after_the_connection_broke(
    visit: Visit, desk: Desk, tmp_path: Path
) -> None:
    path = tmp_path / "people.csv"
    with path.open("w") as out:
        out.write("ID,Name,Amount\n")
        for start in range(0, 100_000, 1_000):
            name = "x" * 1_000
            out.writelines(f"{number},{name},1.00\n" for number in range(start, start + 1_000))
    assert path.stat().st_size > 100_000_000
    page = visit()
    parts = []

    def break_off_once(route: Route) -> None:
        parts.append(route.request.headers["upload-offset"])
        if len(parts) == 3:
            route.abort("connectionreset")
        else:
            route.continue_()

    page.route("**/api/v1/tus/*", lambda route: _only("PATCH", route, break_off_once))
    page.goto("/imports/new")
    page.select_option("#feed", "people")
    page.set_input_files("#files", path)
    page.wait_for_selector("text=Nothing has been stored yet", timeout=180_000)
    assert parts[2] == parts[3] != "0"
    page.wait_for_selector("text=Import 100,000 rows")


def test_a_long_name_of_a_file_hides_no_column_of_the_history(visit: Visit, desk: Desk) -> None:
    path = desk.folder / f"{'x' * 120}.csv"
    path.write_text("ID,Name\n1,Ann\n")
    file = found_file(location_of(path), desk.account, "people")
    with desk.pipeline.database.begin() as connection:
        arrivals.register(connection, [file])
    ingest(desk.pipeline, desk.pipeline.claim(desk.account, "people")[0])
    page = visit(viewport={"width": 1200, "height": 800})
    page.goto("/history")
    wider = "one => one.scrollWidth - one.clientWidth"
    assert page.locator(".imports").first.evaluate(wider) == 0


def test_what_is_refused_for_too_many_requests_is_not_sent_for_ever(
    visit: Visit, tmp_path: Path
) -> None:
    page = visit()
    refused = []

    def refuse(route: Route) -> None:
        refused.append(route.request.url)
        route.fulfill(status=429, headers={"Retry-After": "0.02"}, json={"detail": "too many"})

    page.route("**/api/v1/uploads/**", refuse)
    page.goto("/imports/new")
    _send(page, tmp_path)
    page.wait_for_selector("text=There are too many requests")
    assert len(refused) == 8


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_nothing_on_any_page(
    visit: Visit, desk: Desk, tmp_path: Path, scheme: str
) -> None:
    report = desk.bring(PEOPLE)
    page = visit(color_scheme=scheme)
    here = f"/imports/{report.import_id}"
    found = []
    for path in (
        *("/", "/imports/new", "/history", "/feeds", "/feeds/people", "/patterns", "/login"),
        *(f"/accounts/{desk.account}", here, f"{here}/rejects", f"{here}/undo"),
        *("/tokens", "/audit"),
    ):
        page.goto(path)
        found += _faults(page)
    page.goto(f"{here}/rejects")
    page.fill("#find", "x")
    page.click("text=See what would change")
    page.wait_for_selector("text=It would change")
    found += _faults(page)
    page.goto("/imports/new")
    _send(page, tmp_path)
    page.wait_for_selector("text=Nothing has been stored yet")
    found += _faults(page)
    assert found == []


def _faults(page: Page) -> list[str]:
    """Return what axe finds on a page."""
    found = []
    for one in Axe().run(page).response["violations"]:
        nodes = "; ".join(node["html"][:160] for node in one["nodes"][:3])
        found.append(f"{page.url}: {one['id']}: {nodes}")
    return found


def _only(method: str, route: Route, handle: Callable[[Route], None]) -> None:
    if route.request.method == method:
        handle(route)
    else:
        route.continue_()


def _file(folder: Path) -> Path:
    path = folder / "people.csv"
    path.write_text(PEOPLE)
    return path


def _send(page: Page, folder: Path) -> None:
    page.select_option("#feed", "people")
    page.set_input_files("#files", _file(folder))
