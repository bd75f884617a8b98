"""Pages of other sites send files if a setting names them, and can do nothing else."""

import shutil
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from csv_pipeline.access import Scope
from csv_pipeline.api.app import make_app
from csv_pipeline.api.runs import Runs
from csv_pipeline.api.service import Service
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.storage import accounts, tokens
from csv_pipeline_tests.api.conftest import DagsterHere
from csv_pipeline_tests.api.live import serving
from csv_pipeline_tests.conftest import Desk

SHOP = "https://shop.example"
ASKED = {
    "Access-Control-Request-Method": "PATCH",
    "Access-Control-Request-Headers": "tus-resumable",
}
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


def embedding(pipeline: Pipeline, dagster: DagsterHere, origin: str) -> Service:
    """Return a service that lets the pages of one site send files."""
    settings = pipeline.settings.model_copy(update={"embed_origins": (origin,)})
    return Service(pipeline=replace(pipeline, settings=settings), runs=Runs(dagster))


@pytest.fixture
def shop(shared_pipeline: Pipeline, shared_dagster: DagsterHere) -> TestClient:
    """A caller of a service that a shop may embed."""
    return TestClient(make_app(embedding(shared_pipeline, shared_dagster, SHOP)))


def token_for(desk: Desk) -> str:
    with desk.pipeline.database.begin() as connection:
        accounts.add(connection, desk.account)
        text, _ = tokens.make(
            connection,
            "visitor",
            account=desk.account,
            scopes=[Scope.UPLOAD],
            lasts=timedelta(seconds=60),
        )
    return text


@pytest.mark.parametrize("path", ["/api/v1/tus", "/api/v1/tus/1", "/api/v1/uploads"])
def test_a_named_site_may_send_and_another_may_not(shop: TestClient, path: str) -> None:
    answer = shop.options(path, headers=ASKED | {"Origin": SHOP})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == SHOP
    assert "access-control-allow-credentials" not in answer.headers
    for other in ("https://shop.example.evil", "http://shop.example", "null", "*", ""):
        answer = shop.options(path, headers=ASKED | {"Origin": other})
        assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/imports",
        "/api/v1/tokens",
        "/api/v1/uploads/1/import",
        "/api/v1/tus/../imports",
        "/",
    ],
)
def test_no_other_address_is_open_to_it(shop: TestClient, path: str) -> None:
    for method in ("OPTIONS", "GET", "POST"):
        answer = shop.request(method, path, headers=ASKED | {"Origin": SHOP})
        assert "access-control-allow-origin" not in answer.headers


def test_a_refusal_can_be_read_by_the_page_and_nothing_is_done_without_a_token(
    shop: TestClient,
) -> None:
    answer = shop.post("/api/v1/tus", headers={"Origin": SHOP, "Tus-Resumable": "1.0.0"})
    assert (answer.status_code, answer.json()["code"]) == (403, "other_site")
    assert answer.headers["access-control-allow-origin"] == SHOP


def test_no_site_may_as_long_as_none_is_named(anyone: TestClient) -> None:
    answer = anyone.options("/api/v1/tus", headers=ASKED | {"Origin": SHOP})
    assert "access-control-allow-origin" not in answer.headers


@pytest.fixture
def site(tmp_path: Path) -> Iterator[tuple[str, Path]]:
    """Another site, and where its pages lie."""
    folder = tmp_path / "site"
    folder.mkdir()
    handler = partial(_Quiet, directory=str(folder))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}", folder
        server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _refuse(route: Any, refused: list[str], origin: str) -> None:
    """Answer that there are too many requests, as often as is asked."""
    allowed = {"Access-Control-Allow-Origin": origin, "Access-Control-Expose-Headers": "*"}
    if route.request.method == "OPTIONS":
        asked = {"Access-Control-Allow-Headers": route.request.headers.get(_ASKED, "*")}
        route.fulfill(status=204, headers=allowed | asked)
        return
    refused.append(route.request.url)
    route.fulfill(
        status=429, headers=allowed | {"Retry-After": "0.02"}, json={"detail": "too many"}
    )


_ASKED = "access-control-request-headers"


@pytest.mark.browser
def test_a_page_of_another_site_sends_a_file_by_one_tag(
    site: tuple[str, Path], shared_pipeline: Pipeline, shared_dagster: DagsterHere, desk: Desk
) -> None:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415  # of the browser tests alone

    if CHROMIUM is None:
        pytest.skip("no chromium is installed; make test-browser brings it")
    origin, folder = site
    people = folder.parent / "people ä.csv"
    people.write_text("ID,Name\n1,one\n" + "".join(f"{n},{'x' * 900}\n" for n in range(2, 12_000)))
    with (
        serving(embedding(shared_pipeline, shared_dagster, origin)) as url,
        sync_playwright() as playwright,
    ):
        said = f'data-token="{token_for(desk)}" data-feed="people"'
        tag = f'<script src="{url}/static/embed.js" {said}></script>'
        (folder / "index.html").write_text(f"<!doctype html><body>{tag}</body>")
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        page = browser.new_page()
        page.goto(origin)
        page.set_input_files("input[type=file]", people)
        page.wait_for_selector("li:has-text('sent, number')", timeout=60_000)
        read = page.evaluate(
            "url => fetch(url + '/api/v1/imports').then(() => 'read', () => 'closed')", url
        )
        assert read == "closed"
        refused: list[str] = []
        page.route("**/api/v1/tus", lambda route: _refuse(route, refused, origin))
        page.set_input_files("input[type=file]", people)
        page.wait_for_selector("li:has-text('not sent. too many')")
        assert len(refused) == 8
        browser.close()
    assert len(desk.rows()) == 11_999
