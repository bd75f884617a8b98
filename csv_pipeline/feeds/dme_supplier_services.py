"""Medicare's services of suppliers of medical equipment: one row a supplier, code and rental.

CMS publishes "Medicare Durable Medical Equipment, Devices & Supplies – by Supplier and Service"
once a year (data.cms.gov). A count of fewer than 11 beneficiaries is suppressed: it is blank, `*`
or `#` in the file and null here, never 0. Amounts are averages of up to 10 decimals, kept exactly.
"""

from typing import Annotated

import pandera.polars as pa
import polars as pl
from pandera.api.polars.types import PolarsData

from csv_pipeline.feeds.common import (
    HCPCS,
    HCPCS_EXAMPLES,
    HCPCS_NEEDS,
    NPI,
    NPI_EXAMPLES,
    NPI_NEEDS,
    has_npi_check_digit,
)
from csv_pipeline.spec.contract import Contract, column, optional
from csv_pipeline.spec.feed import Feed

Average = Annotated[pl.Decimal, 28, 10]
"""An average as CMS computes it, or a number of services, which may be a fraction."""

_SUPPRESSED = ("*", "#")


class SupplierService(Contract):
    """What one supplier was paid for by Medicare under one code, rented or bought."""

    supplier_npi: str = column("Suplr_NPI", str_matches=NPI, needs=NPI_NEEDS, examples=NPI_EXAMPLES)
    supplier_last_name_or_organization: str = optional("Suplr_Prvdr_Last_Name_Org")
    supplier_first_name: str = optional("Suplr_Prvdr_First_Name")
    supplier_middle_initial: str = optional("Suplr_Prvdr_MI")
    supplier_credentials: str = optional("Suplr_Prvdr_Crdntls")
    supplier_entity: str = optional(
        "Suplr_Prvdr_Ent_Cd", choices=("I", "O"), description="I an individual, O an organization"
    )
    supplier_street_1: str = optional("Suplr_Prvdr_St1")
    supplier_street_2: str = optional("Suplr_Prvdr_St2")
    supplier_city: str = optional("Suplr_Prvdr_City")
    supplier_state: str = optional("Suplr_Prvdr_State_Abrvtn")
    supplier_state_fips: str = optional(
        "Suplr_Prvdr_State_FIPS", pad=2, examples=("06", "36"), description="text: 06 is California"
    )
    supplier_zip: str = optional("Suplr_Prvdr_Zip5", pad=5, examples=("90001", "10001"))
    supplier_ruca_category: str = optional("Suplr_Prvdr_RUCA_Cat")
    supplier_ruca: str = optional(
        "Suplr_Prvdr_RUCA",
        identifier=True,
        description="rural-urban commuting area, a code such as 10.1",
    )
    supplier_ruca_description: str = optional("Suplr_Prvdr_RUCA_Desc")
    supplier_country: str = optional("Suplr_Prvdr_Cntry")
    supplier_specialty: str = optional("Suplr_Prvdr_Spclty_Cd", identifier=True)
    supplier_specialty_description: str = optional("Suplr_Prvdr_Spclty_Desc")
    supplier_specialty_source: str = optional("Suplr_Prvdr_Spclty_Srce")
    rbcs_level: str = optional("RBCS_Lvl", description="Restructured BETOS classification")
    rbcs_id: str = optional("RBCS_Id", identifier=True)
    rbcs_description: str = optional("RBCS_Desc")
    hcpcs_code: str = column(
        "HCPCS_Cd", str_matches=HCPCS, needs=HCPCS_NEEDS, examples=HCPCS_EXAMPLES
    )
    hcpcs_description: str = optional("HCPCS_Desc")
    rental: str = column(
        "Suplr_Rentl_Ind",
        choices=("Y", "N"),
        description="Y rented, N bought; the same code occurs as both",
    )
    beneficiaries: int = optional(
        "Tot_Suplr_Benes", ge=0, nulls=_SUPPRESSED, description="null where suppressed"
    )
    claims: int = optional("Tot_Suplr_Clms", ge=0, nulls=_SUPPRESSED)
    services: Average = optional("Tot_Suplr_Srvcs", ge=0, nulls=_SUPPRESSED)
    average_submitted_charge: Average = optional("Avg_Suplr_Sbmtd_Chrg", nulls=_SUPPRESSED)
    average_allowed_amount: Average = optional("Avg_Suplr_Mdcr_Alowd_Amt", nulls=_SUPPRESSED)
    average_payment_amount: Average = optional("Avg_Suplr_Mdcr_Pymt_Amt", nulls=_SUPPRESSED)
    average_standardized_amount: Average = optional("Avg_Suplr_Mdcr_Stdzd_Amt", nulls=_SUPPRESSED)

    @pa.check("supplier_npi", name="check_digit", description=NPI_NEEDS)
    def npi_check_digit(cls, data: PolarsData) -> pl.LazyFrame:  # noqa: N805
        """Hold the number to its last digit; source: 45 CFR 162.406(a)."""
        return data.lazyframe.select(has_npi_check_digit("supplier_npi"))


DME_SUPPLIER_SERVICES = Feed(
    name="dme_supplier_services",
    description="What Medicare paid each supplier of medical equipment, by code and rental.",
    contract=SupplierService,
    key=("supplier_npi", "hcpcs_code", "rental"),
    max_rejected_share=0.5,
    group="medical_equipment",
)
