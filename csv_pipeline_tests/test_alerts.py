"""Alerts are told by mail and chat what needs a person: grouped, at least once, and no secret."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import sqlalchemy as sa
from pydantic import SecretStr

from csv_pipeline.cli import opening
from csv_pipeline.defs.resource import Engine
from csv_pipeline.defs.webhooks import webhook_messages
from csv_pipeline.engine import alerts, delivery
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError, UnknownAccountError
from csv_pipeline.files.landing import found_file
from csv_pipeline.location import location_of
from csv_pipeline.settings import Settings
from csv_pipeline.storage import accounts, arrivals, silent_stores, webhooks
from csv_pipeline.storage.database import open_database
from csv_pipeline_tests.conftest import Desk, ingest
from csv_pipeline_tests.receivers import Mailbox, Receiver, mail_server, receiving
from csv_pipeline_tests.test_cli import PEOPLE, Terminal, terminal
from csv_pipeline_tests.workers import context

__all__ = ["terminal"]
WRONG = "Colour,Size\nred,3\n"
PASSWORD = "hush-hush-9"  # noqa: S105  # of nothing


@pytest.fixture(scope="module")
def mail() -> Iterator[tuple[Mailbox, int]]:
    with mail_server() as made:
        yield made


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as made:
        yield made


class Alert:
    """An alert of the test's account."""

    def __init__(self, desk: Desk, url: str, **how: Any) -> None:
        self.pipeline = desk.pipeline
        with desk.pipeline.database.begin() as connection:
            accounts.add(connection, desk.account)
        made = alerts.add(desk.pipeline.database, account=desk.account, url=url, **how)
        self.number = made.webhook_id

    def deliver(self, page_url: str | None = None) -> int:
        """Tell it what waits, whether or not it was to be left alone for a while."""
        self.execute("UPDATE csv_pipeline.webhook SET suspended_until = NULL")
        return delivery.deliver(self.pipeline.database, 20, page_url=page_url)

    def execute(self, statement: str, **facts: Any) -> None:
        with self.pipeline.database.begin() as connection:
            connection.execute(sa.text(statement), facts)


def told(receiver: Receiver) -> list[str]:
    return [json.loads(body)["message"] for _, body in receiver.taken]


def address(receiver: Receiver) -> str:
    return f"json://me:{PASSWORD}@127.0.0.1:{receiver.port}/{PASSWORD}?+X-Key={PASSWORD}"


def test_a_thousand_refused_files_are_one_mail_with_counts_and_what_helps(
    desk: Desk, mail: tuple[Mailbox, int]
) -> None:
    box, port = mail
    url = f"mailto://127.0.0.1:{port}?from=us@example.com&to=ops@example.com"
    alert = Alert(desk, url)
    refused = desk.bring(WRONG, name="wrong.csv")
    alert.execute(
        "INSERT INTO csv_pipeline.outbox (import_id, kind, payload) "
        "SELECT import_id + n, kind, payload FROM csv_pipeline.outbox, generate_series(1, 999) n "
        "WHERE import_id = :id",
        id=refused.import_id,
    )
    alert.deliver()
    assert box.taken == []  # it is not yet quiet
    alert.execute(
        "UPDATE csv_pipeline.outbox SET created_at = now() - interval '61 seconds' "
        "WHERE payload ->> 'account' = :account",
        account=desk.account,
    )
    assert alert.deliver("https://files.example.com/") == 1_000
    (got,) = box.taken
    assert (got["Subject"], got["To"]) == ("csv-pipeline: 1,000 refused", "ops@example.com")
    body = got.get_body(("plain",))
    assert body is not None
    lines = body.get_content().splitlines()
    assert f"1,000 × {desk.account} / people: refused ({refused.problem_code})" in lines
    assert f"  https://files.example.com/imports/{refused.import_id}" in lines
    assert (
        f"  csv-pipeline suggest {refused.import_id}; or correct the file; " in body.get_content()
    )
    assert "… and 990 more" in lines
    assert alert.deliver() == 0


def test_messages_that_never_cease_are_told_after_ten_times_the_quiet_seconds(
    desk: Desk, receiver: Receiver
) -> None:
    alert = Alert(desk, address(receiver))
    first, last = (desk.bring(WRONG.replace("3", f"{n}"), name=f"{n}.csv") for n in range(2))
    late = "UPDATE csv_pipeline.outbox SET created_at = now() - :age WHERE import_id = :id"
    for age, taken in (("590 seconds", []), ("601 seconds", [2])):
        alert.execute(late.replace(":age", f"interval '{age}'"), id=first.import_id)
        alert.deliver()
        assert [text.count("suggest") for text in told(receiver)] == taken
    assert f"suggest {last.import_id};" in told(receiver)[0]


@pytest.mark.parametrize(("ahead", "is_told"), [("30 seconds", False), ("1 hour", True)])
def test_a_message_written_before_the_clock_was_set_back_is_told(
    desk: Desk, receiver: Receiver, ahead: str, is_told: bool
) -> None:
    alert = Alert(desk, address(receiver))
    desk.bring(WRONG, name="wrong.csv")
    late = "UPDATE csv_pipeline.outbox SET created_at = now() + CAST(:ahead AS interval) "
    its = "WHERE payload ->> 'account' = :account"
    alert.execute(late + its, ahead=ahead, account=desk.account)
    assert alert.deliver() == int(is_told)


def test_who_does_not_answer_is_asked_again_then_shown_and_told_when_it_does(
    terminal: Terminal, desk: Desk, monkeypatch: pytest.MonkeyPatch, capfd: Any
) -> None:
    monkeypatch.setattr(delivery, "_MOST_ATTEMPTS", 2)
    monkeypatch.setattr(opening, "database", lambda: nullcontext(desk.pipeline.database))
    with receiving() as receiver:
        alert = Alert(desk, address(receiver), quiet_seconds=0)
        receiver.answers = [500, 500, 503, 503]
        desk.bring(WRONG, name="wrong.csv")
        assert delivery.deliver(desk.pipeline.database, 20) == 0
        assert delivery.deliver(desk.pipeline.database, 20) == 0
        assert receiver.answers == [500, 503, 503]  # it is left alone for some seconds
        alert.deliver()
        shown = terminal.call("status", "-a", desk.account, "--json").json
        (need,) = [one for one in shown if one["state"] == "untold"]
        assert (need["number"], need["file"]) == (alert.number, f"json://127.0.0.1:{receiver.port}")
        assert need["problem"].startswith("1 messages are set aside; ")
        assert "error=500" in need["problem"]
        said = [terminal.call("alerts", verb, alert.number) for verb in ("test", "again")]
        assert [one.exit_code for one in said] == [1, 1]
        said += [terminal.call("alerts", verb, alert.number) for verb in ("test", "again")]
        assert [one.exit_code for one in said[2:]] == [0, 0]
        assert "wrong.csv" in told(receiver)[1]
        said += [terminal.call("alerts", "list", *how) for how in ((), ("--json",))]
        said.append(terminal.call("status"))
        assert "untold" not in terminal.call("status", "-a", desk.account).out
    printed = "".join([*(one.out + one.err for one in said), *capfd.readouterr(), need["problem"]])
    assert PASSWORD not in printed
    terminal.call("alerts", "remove", alert.number)
    assert str(alert.number) not in terminal.call("alerts", "list", "-a", desk.account).out


def _deliver_and_die(home: Path, url: str) -> None:
    def die(*_: object) -> None:
        os.kill(os.getpid(), signal.SIGKILL)

    webhooks.told = die  # type: ignore[assignment]
    settings = Settings(home=home, database_url=SecretStr(url))
    delivery.deliver(open_database(settings), 20)


def test_what_waits_is_told_once_by_a_copy_of_the_database_on_another_server(
    uncrowded_pipeline: Pipeline, account: str, tmp_path: Path, receiver: Receiver
) -> None:
    desk = Desk(uncrowded_pipeline, account, tmp_path)
    alert = Alert(desk, address(receiver), quiet_seconds=0)
    desk.bring(WRONG, name="told.csv")
    assert alert.deliver() == 1
    desk.bring(WRONG.replace("3", "4"), name="waits.csv")
    # On the server it was copied from, transactions had higher numbers.
    alert.execute("UPDATE csv_pipeline.outbox SET turn = turn + 1_000_000")
    alert.execute("UPDATE csv_pipeline.webhook SET told_up_to = told_up_to + 1_000_000")
    desk.bring(WRONG.replace("3", "5"), name="new.csv")
    assert alert.deliver() == 2
    assert [name in told(receiver)[1] for name in ("told.csv", "waits.csv", "new.csv")] == [
        False, True, True,
    ]  # fmt: skip
    assert alert.deliver() == 0


@pytest.mark.slow
def test_what_was_sent_by_a_process_that_was_killed_before_it_noted_it_is_sent_again(
    desk: Desk, receiver: Receiver, pipeline: Pipeline
) -> None:
    alert = Alert(desk, address(receiver), quiet_seconds=0)
    desk.bring(WRONG, name="wrong.csv")
    alert.execute(
        "UPDATE csv_pipeline.webhook SET suspended_until = now() + interval '1 hour' "
        "WHERE webhook_id <> :id",
        id=alert.number,
    )
    url = pipeline.database.engine.url.render_as_string(hide_password=False)
    sender = context.Process(target=_deliver_and_die, args=(desk.folder, url))
    sender.start()
    sender.join(60)
    assert sender.exitcode == -signal.SIGKILL
    assert delivery.deliver(pipeline.database, 20) == 0  # it may still be sending
    alert.deliver()
    alert.deliver()
    assert [("wrong.csv" in text) for text in told(receiver)] == [True, True]


def test_a_file_that_is_set_aside_as_poison_and_one_that_is_misplaced_are_told_once(
    desk: Desk, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    alert = Alert(desk, address(receiver), quiet_seconds=0)
    path = desk.folder / "stray.csv"
    path.write_text(PEOPLE)
    stray = found_file(location_of(path), desk.account, "peeple")
    with desk.pipeline.database.begin() as connection:
        for _ in range(2):
            arrivals.register(connection, [], [(stray, "did you mean 'people'?")])

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("csv_pipeline.engine.group.transform", broken)
    desk.bring(PEOPLE, name="poison.csv")
    for _ in range(desk.pipeline.settings.max_failures - 1):
        (claim,) = desk.pipeline.claim(desk.account, "people")
        ingest(desk.pipeline, claim)
    alert.deliver()
    (text,) = told(receiver)
    assert f"1 × {desk.account} / people: set aside as poison" in text
    assert f"1 × {desk.account} / peeple: in a wrong place" in text
    assert "did you mean 'people'?" in text
    assert ": failed" not in text


def test_the_daemon_tells_alerts_whether_or_not_the_api_is_served(
    desk: Desk, receiver: Receiver
) -> None:
    Alert(desk, address(receiver), quiet_seconds=0)
    desk.bring(WRONG, name="wrong.csv")
    engine = Engine(lambda: desk.pipeline)
    with dg.instance_for_test() as instance:
        webhook_messages(dg.build_sensor_context(instance=instance, resources={"engine": engine}))
    assert "wrong.csv" in told(receiver)[0]


def test_a_store_that_stays_silent_is_told_once(desk: Desk, receiver: Receiver) -> None:
    made = alerts.add(
        desk.pipeline.database,
        account=None,
        url=address(receiver),
        kinds=["silent_store"],
        quiet_seconds=0,
    )
    store = f"s3://{desk.account}"
    with desk.pipeline.database.begin() as connection:
        for _ in range(6):
            silent_stores.note(connection, store, "no answer", listing=False, asked=True)
        silent_stores.answered(connection, [store])
    delivery.deliver(desk.pipeline.database, 20)
    with desk.pipeline.database.begin() as connection:
        webhooks.remove(connection, made.webhook_id, None)
    (text,) = told(receiver)
    assert f"1 × {store}: silent store" in text
    assert "it is asked again at" in text


@pytest.mark.parametrize(
    "url", ["https://example.com", "nothing://x", f"mailto://{PASSWORD}", "json://a:b@c/\0", ""]
)
def test_an_address_of_no_service_is_refused_without_being_shown(desk: Desk, url: str) -> None:
    with pytest.raises(SetupError, match="as apprise has it") as refused:
        alerts.add(desk.pipeline.database, account=None, url=url)
    assert PASSWORD not in str(refused.value)


def test_an_alert_is_of_known_kinds_and_accounts(desk: Desk, receiver: Receiver) -> None:
    with pytest.raises(SetupError, match="found 'rejected'"):
        Alert(desk, address(receiver), kinds=["rejected"])
    with pytest.raises(UnknownAccountError):
        alerts.add(desk.pipeline.database, account="nobody-at-all", url=address(receiver))


def test_of_a_chat_only_the_service_is_shown(desk: Desk) -> None:
    alert = Alert(desk, f"slack://T1JJ3T3L2/A1BRTD4JD/{'x' * 24}")
    with desk.pipeline.database.begin() as connection:
        (shown,) = webhooks.listed(connection, desk.account)
    assert (shown.webhook_id, shown.url) == (alert.number, "slack://…")
