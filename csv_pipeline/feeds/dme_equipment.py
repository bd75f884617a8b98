"""Medical equipment that a provider owns: one row a piece, by its asset tag.

`patient_ref` says who has a piece, and is protected health information (45 CFR 160.103). It stays
in the table: the feed is confidential, so that no cell of its files is shown anywhere else. A row
whose cells have shifted may hold a patient in any of them.
"""

import polars as pl

from csv_pipeline.feeds.common import HCPCS, HCPCS_EXAMPLES, HCPCS_NEEDS
from csv_pipeline.spec.contract import Contract, Money, column, optional
from csv_pipeline.spec.feed import Feed


class Equipment(Contract):
    """One piece of equipment, and where it is."""

    asset_tag: str = column("Asset Tag", "Tag", "Asset Number")
    serial_number: str = optional("Serial Number", "Serial No", identifier=True)
    hcpcs_code: str = optional(
        *("HCPCS Code", "HCPCS"), str_matches=HCPCS, needs=HCPCS_NEEDS, examples=HCPCS_EXAMPLES
    )
    description: str = optional("Description")
    manufacturer: str = optional("Manufacturer", "Maker")
    model: str = optional("Model", "Model Number")
    status: str = column(
        "Status",
        choices=("in_stock", "rented", "sold", "in_repair", "retired"),
        description="where the piece is in its life",
    )
    location: str = optional("Location", "Warehouse")
    purchased_on: pl.Date = optional("Purchased On", "Purchase Date", past=True)
    purchase_price: Money = optional("Purchase Price", "Price", ge=0)
    patient_ref: str = optional(
        "Patient Ref", "Patient Reference", "Patient ID", identifier=True, protected=True
    )


DME_EQUIPMENT = Feed(
    name="dme_equipment",
    description="Medical equipment that a provider owns: each piece, its state and where it is.",
    contract=Equipment,
    key=("asset_tag",),
    confidential=True,
    max_rejected_share=0.5,
    group="medical_equipment",
)
