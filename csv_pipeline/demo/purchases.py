"""Write what a purchasing department has: reports of two workers, and invoices of suppliers."""

from csv_pipeline.demo.cells import table

_HEADER = (
    "PO_NUMBER", "STATUS", "SUPPLIER", "ATTACHMENTS_FOUND", "ATTACHMENTS_DOWNLOADED",
    "LAST_PROCESSED", "ERROR_MESSAGE", "DOWNLOAD_FOLDER",
)  # fmt: skip
_FOLDER = "ELGIN\\2025\\"


def first_report() -> bytes:
    """Return what one worker did until noon; one row counts more attachments than there are."""
    lines = [
        ("PO15262984", "COMPLETED", "Moray Paper", "2", "2", "2025-07-28 11:43:11", ""),
        ("PM15327452", "FAILED", "Spey Tools", "1", "0", "2025-07-28 11:44:02", "Timeout"),
        ("PO15362783", "PARTIAL", "Moray Paper", "3", "1", "2025-07-28 11:45:30", ""),
        ("PO15400001", "PENDING", "Lossie Print", "", "", "", ""),
        ("PO15400002", "COMPLETED", "Lossie Print", "1", "4", "2025-07-28 11:46:09", ""),
    ]
    return table([_HEADER, *((*line, _FOLDER) for line in lines)])


def second_report() -> bytes:
    """Return another worker's report: older of one order, newer of another, and of a new one."""
    lines = [
        ("PO15262984", "FAILED", "Moray Paper", "2", "0", "2025-07-28 09:02:17", "Timeout"),
        ("PM15327452", "COMPLETED", "Spey Tools", "1", "1", "2025-07-28 13:10:44", ""),
        ("PO15500002", "NO_ATTACHMENTS", "Spey Tools", "0", "0", "2025-07-28 13:11:20", ""),
    ]
    return table([_HEADER, *((*line, _FOLDER) for line in lines)], ";", "utf-8-sig")


def invoices() -> bytes:
    """Return six invoices, one of which has a number of another form."""
    header = ("Invoice No.", "Supplier", "Issued", "Total", "Status")
    lines = [
        (f"MP{n:04}", "Moray Paper", f"2025-07-{n + 12}", f"{n * 90}.50", status)
        for n, status in enumerate(("bezahlt", "open") * 3, 1)
    ]
    lines[4] = ("5", *lines[4][1:])
    return table([header, *lines])
