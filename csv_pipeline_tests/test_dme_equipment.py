"""A provider's equipment: a patient's reference is in the table and nowhere else."""

import csv
import io
import json
import logging
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import structlog
from structlog.testing import capture_logs
from typer.testing import CliRunner

from csv_pipeline.cli import commands
from csv_pipeline.defs.assembly import assemble
from csv_pipeline.defs.resource import Engine
from csv_pipeline.engine import alerts, delivery, webhooks
from csv_pipeline.engine.import_requests import ACCOUNTS, JOB
from csv_pipeline.engine.pipeline import Pipeline
from csv_pipeline.errors import SetupError
from csv_pipeline.files.local import path_of
from csv_pipeline.model import ImportReport, Outcome
from csv_pipeline.rejects.faults import MASK
from csv_pipeline.storage import accounts
from csv_pipeline.storage import webhooks as storage_webhooks
from csv_pipeline_tests.conftest import Desk
from csv_pipeline_tests.receivers import mail_server, receiving
from csv_pipeline_tests.test_defs_lineage import Lineage, lineage

__all__ = ["lineage"]

Logged = list[MutableMapping[str, Any]]
FEED = "dme_equipment"
PATIENT = "MRN-77-0815"
HEADER = (
    "asset_tag,serial_number,hcpcs_code,description,manufacturer,model,status,location,"
    "purchased_on,purchase_price,patient_ref\n"
)


def row(tag: str, **cells: str) -> str:
    known = {
        "hcpcs": "E0601",
        "description": "CPAP",
        "status": "rented",
        "on": "2025-03-04",
        "price": "812.50",
        "patient": PATIENT,
    } | cells
    return (
        f"{tag},S-{tag},{known['hcpcs']},{known['description']},ResMed,AirSense 11,"
        f"{known['status']},Boston,{known['on']},{known['price']},{known['patient']}\n"
    )


GOOD, DUPLICATE = row("A1") + row("A2"), row("A2", description="CPAP, again".replace(",", ""))
REJECTED = row("A3", status="lost") + row("A4", hcpcs="E601", price="free")
TOO_LONG = row("A5").replace("CPAP", "CPAP, heated")
TOO_SHORT = f"A6,{PATIENT}\n"
# The cells of these are one place further, and one cell is missing: they have the header's width.
SHIFTED = (
    f"A7,S-A7,{PATIENT},CPAP,ResMed,AirSense 11,rented,Boston,2025-03-04,812.50,\n"
    f"A8,S-A8,E0601,CPAP,ResMed,AirSense 11,{PATIENT},Boston,{PATIENT},{PATIENT},\n"
    f"{PATIENT},S-A9,E0601,CPAP,ResMed,AirSense 11,nowhere,Boston,2025-03-04,1.00,\n"
)
STRAY = f'A10,"S-A10" {PATIENT},E0601,CPAP,ResMed,AirSense 11,rented,Boston,2025-03-04,1.00,\n'
ABOVE, BELOW = f"equipment of {PATIENT}\n\n", f"# {PATIENT}\n"
EVERY = (
    ABOVE + HEADER + GOOD + DUPLICATE + REJECTED + TOO_LONG + TOO_SHORT + SHIFTED + STRAY + BELOW
)


def lines(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(path.read_text("utf-8-sig"), newline="")))


def written(corrected: list[dict[str, str]]) -> str:
    out = io.StringIO()
    writer = csv.DictWriter(out, list(corrected[0]))
    writer.writeheader()
    writer.writerows(corrected)
    return out.getvalue()


def called(*words: object) -> str:
    result = CliRunner().invoke(commands.app, [str(word) for word in words])
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.stdout + result.stderr


@pytest.fixture
def terminal(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "_pipeline", lambda: pipeline)
    monkeypatch.setattr(commands, "_settings", lambda: pipeline.settings)


@pytest.fixture
def logged() -> Iterator[Logged]:
    """Collect what is logged, however unimportant."""
    before = structlog.get_config()["wrapper_class"]
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.DEBUG))
    with capture_logs() as entries:
        yield entries
    structlog.configure(wrapper_class=before)


def sent_out(desk: Desk, report: ImportReport) -> Path:
    path = desk.folder / f"import-{report.import_id}-rejects.csv"
    desk.pipeline.write_rejects(report.import_id, path)
    return path


def test_a_patient_is_in_the_table(desk: Desk) -> None:
    report = desk.bring(EVERY, FEED)
    assert report.counts.balance
    assert report.counts.rejected == 7
    assert (PATIENT,) in desk.rows(FEED, "patient_ref")


def test_a_patient_is_in_no_report_reject_or_result_file(
    desk: Desk, logged: Logged, caplog: pytest.LogCaptureFixture
) -> None:
    report = desk.bring(EVERY, FEED)
    assert report.non_data_lines
    results = desk.pipeline.results_of(report)
    assert results is not None
    said = [repr(report), path_of(results).read_text(), repr(logged), caplog.text]
    said += [reject.message for reject in desk.rejects(report)]
    assert [text for text in said if PATIENT in text] == []


def test_a_patient_is_in_no_output_of_a_command(
    desk: Desk, terminal: None, logged: Logged, tmp_path: Path
) -> None:
    lane = ("-a", desk.account, "-f", FEED)
    (file := tmp_path / "equipment.csv").write_text(EVERY)
    said = [called("import", file, *lane, "--dry-run", *how) for how in ((), ("--json",))]
    imported, _ = json.JSONDecoder().raw_decode(called("import", file, *lane, "--json"))
    (changed := tmp_path / "changed.csv").write_text(
        EVERY.replace("Boston", "Ayr").replace(f"{PATIENT}\n", f"{PATIENT}-2\n")
    )
    said += [called("import", changed, *lane, "--dry-run", *how) for how in ((), ("--json",))]
    number, rejects = imported["import_id"], tmp_path / "rejects.csv"
    for how in ((), ("--json",)):
        said += [called("import", file, *lane, *how), called("rejects", number, *how)]
        said += [called("imports", "-a", desk.account, *how), called("inspect", file, *how)]
        said += [called("inspect", file, "--feed", FEED, *how)]
    for raw in ((), ("--raw",)):
        said += [called("rejects", number, "--out", rejects, "--overwrite", *raw)]
        said += [rejects.read_text("utf-8-sig")]
    said += [called("undo", number, "--dry-run"), called("undo", number, "--json"), repr(logged)]
    assert sum(MASK in text for text in said) > 10
    assert [text for text in [repr(imported), *said] if PATIENT in text] == []


def test_a_patient_is_in_no_event_of_dagster(
    pipeline: Pipeline, account: str, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = pipeline.settings.landing_folder / account / FEED
    folder.mkdir(parents=True)
    (folder / "equipment.csv").write_text(EVERY)
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_dynamic_partitions(ACCOUNTS, [account])
        job = assemble([pipeline.feed(FEED)], Engine(lambda: pipeline)).resolve_job_def(JOB)
        result = job.execute_in_process(instance=instance, partition_key=account)
        events = repr(instance.all_logs(result.run_id))
    assert result.success
    assert "rejects by rule" in events
    assert PATIENT not in events + "".join(capfd.readouterr())


def test_a_patient_is_in_no_message_that_is_sent(
    desk: Desk, lineage: Lineage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a webhook, of alerts by mail and by apprise's JSON, and in events of OpenLineage."""
    database, account = desk.pipeline.database, desk.account
    with database.begin() as connection:
        accounts.add(connection, account)
    with receiving() as hook, receiving() as chat, receiving() as lines, mail_server() as (box, to):
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__TYPE", "http")
        monkeypatch.setenv("OPENLINEAGE__TRANSPORT__URL", f"http://127.0.0.1:{lines.port}")
        mail = f"mailto://127.0.0.1:{to}?from=us@example.com&to=ops@example.com"
        added = [webhooks.add(database, account=None, url=hook.url)[0]]
        for url in (f"json://127.0.0.1:{chat.port}", mail):
            added += [alerts.add(database, account=account, url=url, quiet_seconds=0)]
        brought = [desk.bring(EVERY, FEED), desk.bring(GOOD, FEED)]
        brought += [desk.bring(HEADER + REJECTED * 20, FEED)]
        brought += [desk.bring(f"asset_tag,{PATIENT},status\nA1,x,sold\n", FEED)]
        desk.pipeline.undo(brought[0].import_id)
        delivery.deliver(database, 100)
        lineage.tick()
        with database.begin() as connection:
            for one in added:
                storage_webhooks.remove(connection, one.webhook_id, one.account)
        sent = [str(body) for taken in (hook, chat, lines) for _, body in taken.taken]
        sent += [mail.as_string() + str(mail.get_content()) for mail in box.taken]
    assert (len(chat.taken), len(box.taken), len(lines.taken)) == (1, 1, 10)
    assert sum(account in text for text in sent) == 5 + 12  # the webhook is told of others, too
    assert [text for text in sent if PATIENT in text] == []


def test_a_patient_is_in_no_refusal(desk: Desk) -> None:
    without_header = desk.bring(GOOD, FEED)
    over = desk.bring(HEADER + REJECTED * 20, FEED)
    as_header = desk.bring(f"asset_tag,{PATIENT},status\nA1,x,sold\n", FEED)
    assert [one.outcome for one in (without_header, over)] == [Outcome.REFUSED] * 2
    assert PATIENT not in repr((without_header, over))
    assert "patient_ref" not in as_header.header


def test_rejected_rows_come_back_with_the_cells_that_are_masked(desk: Desk) -> None:
    report = desk.bring(HEADER + GOOD + REJECTED, FEED)
    path = sent_out(desk, report)
    lost, free = lines(path)
    assert (lost["asset_tag"], lost["status"], lost["patient_ref"]) == (MASK,) * 3
    corrected = [
        free | {"hcpcs_code": "E0601", "purchase_price": "3.50"},
        lost | {"status": "sold"},
    ]
    back = desk.bring(written(corrected), FEED)
    assert (back.problem, back.counts.inserted, back.counts.rejected) == (None, 2, 0)
    stored = desk.rows(FEED, "asset_tag, status, hcpcs_code, purchase_price::text, patient_ref")
    assert stored[2:] == [
        ("A3", "sold", "E0601", "812.50", PATIENT),
        ("A4", "rented", "E0601", "3.50", PATIENT),
    ]


def test_a_cell_that_looks_like_a_formula_comes_back_as_it_was(desk: Desk) -> None:
    report = desk.bring(
        HEADER + row("A3", status="lost", patient="'=1+1", description="'007"), FEED
    )
    path = sent_out(desk, report)
    (line,) = lines(path)
    desk.bring(written([line | {"status": "sold"}]), FEED)
    assert desk.rows(FEED, "patient_ref, description") == [("'=1+1", "'007")]


def test_of_a_malformed_row_all_cells_have_to_be_written_anew(desk: Desk) -> None:
    report = desk.bring(HEADER + GOOD + TOO_LONG, FEED)
    path = sent_out(desk, report)
    (line,) = lines(path)
    assert (line["_raw"], line["asset_tag"], line["patient_ref"]) == (MASK, "", "")
    header = f"_import_id,_row_number,_errors,{HEADER.strip()},_raw\n"
    masked = row("A5", patient=MASK).strip()
    back = desk.bring(f"{header}{report.import_id},4,,{masked},\n", FEED)
    assert back.rejects_by_rule == {"row.not_corrected": 1}
    whole = row("A5").strip()
    back = desk.bring(f"{header}{report.import_id},4,,{whole},\n", FEED)
    assert back.counts.inserted == 1


def test_rejects_of_a_repair_are_those_of_the_import_it_repairs(desk: Desk) -> None:
    first = desk.bring(HEADER + GOOD + REJECTED, FEED)
    second = desk.bring(sent_out(desk, first), FEED)
    assert second.counts.rejected == 2
    with pytest.raises(SetupError, match=f"rejects of import {first.import_id}"):
        sent_out(desk, second)


@pytest.mark.parametrize("status", ["in_stock", "rented", "sold", "in_repair", "retired", "Rented"])
def test_a_piece_has_one_of_five_states(desk: Desk, status: str) -> None:
    assert desk.bring(HEADER + row("A1", status=status), FEED).counts.inserted == 1
    assert desk.rows(FEED, "status") == [(status.lower(),)]
