"""Write what a provider of medical equipment has: Medicare's services and fees, and its stock."""

from csv_pipeline.demo.cells import table

_CODES = (("E0601", "Continuous airway pressure device"), ("E1390", "Oxygen concentrator"))
_TITLE = "2026 DMEPOS Fee Schedule, July update"


def supplier_services() -> bytes:
    """Return services of two suppliers, rented and bought, and one of a number that is no NPI."""
    header = (
        "Suplr_NPI", "Suplr_Prvdr_Last_Name_Org", "Suplr_Prvdr_Ent_Cd", "Suplr_Prvdr_State_Abrvtn",
        "Suplr_Prvdr_State_FIPS", "Suplr_Prvdr_Zip5", "HCPCS_Cd", "HCPCS_Desc", "Suplr_Rentl_Ind",
        "Tot_Suplr_Benes", "Tot_Suplr_Clms", "Tot_Suplr_Srvcs", "Avg_Suplr_Sbmtd_Chrg",
        "Avg_Suplr_Mdcr_Alowd_Amt",
    )  # fmt: skip
    suppliers = (
        ("1234567893", "Dalton Home Care, Inc.", "O", "CA", "06", "94105"),
        ("1245319599", "Moss", "I", "MA", "25", "02139"),
    )
    lines = [
        (*supplier, *code, rental, benes, "120", "131", "108.1234567891", "92.5")
        for supplier in suppliers
        for code in _CODES
        for rental, benes in (("Y", "25"), ("N", "*"))
    ]
    return table([header, *lines, ("1234567894", *lines[0][1:])])


def fee_schedule() -> bytes:
    """Return the grid of two states: titles above the header, and two columns a state."""
    states = ("CA (NR)", "CA (R)", "MA (NR)", "MA (R)")
    lines = [
        (_TITLE, *[""] * 10),
        ("All fees in US dollars", *[""] * 10),
        ("HCPCS", "Mod", "Mod2", "JURIS", "CATG", "Description", *states, ""),
    ]
    for place, (code, text) in enumerate(_CODES):
        for modifier, share in (("NU", 10), ("RR", 1)):
            fee = f"{(place + 9) * share}.20"
            lines.append((code, modifier, "", "D", "CR", text, fee, "0.00", fee, fee, ""))
    return table([line[:-1] for line in lines])


def equipment() -> bytes:
    """Return twelve pieces, some of them with a patient, and one in a state that is none."""
    header = (
        "Asset Tag", "Serial No", "HCPCS", "Description", "Status", "Location", "Purchase Date",
        "Purchase Price", "Patient Ref",
    )  # fmt: skip
    lines = []
    for n in range(1, 13):
        code, text = _CODES[n % 2]
        rented = n % 3 == 0
        state = ("Rented", f"P-{n:05}") if rented else ("In stock", "")
        bought = f"2025-{n:02}-01"
        lines.append(
            (f"DM-{n:03}", f"00{n}77", code, text, state[0], "Reno", bought, "750.00", state[1])
        )
    lines[6] = (*lines[6][:4], "somewhere", *lines[6][5:])
    return table([header, *lines])
