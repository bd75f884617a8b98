"""What eBay listings have in stock: each listing once, its parent row held against its variations.

A variation is known by its details and counts once, with the greatest quantity that a row of it
has. So a parent of one value, which its details do not tell from its variation, adds nothing.
"""

from csv_pipeline.spec.derived import DerivedColumn, DerivedTable

_STATES = (
    "single: a listing without variations; agrees, differs: parent and variations; no parent, no "
    "variations: only the others; not known: a row has no quantity; doubtful: rows cannot be told "
    "apart, as a variation is there twice or a listing has several parents"
)

LISTING_STOCK = DerivedTable(
    name="listing_stock",
    description="How many pieces of each listing are left and sold. The parent row of a listing "
    "with variations is compared with their sum, and never added to it.",
    columns=(
        DerivedColumn(name="item_number", type="text", description="eBay's number of the listing"),
        DerivedColumn(name="title", type="text", description="of the listing"),
        DerivedColumn(name="state", type="text", description=_STATES),
        DerivedColumn(
            name="available", type="integer",
            description="pieces left: of the variations together, else of the listing",
        ),
        DerivedColumn(
            name="available_of_parent", type="integer", description="pieces left, by the parent row"
        ),
        DerivedColumn(
            name="difference", type="integer",
            description="by the parent row less by its variations; empty where one is not known",
        ),
        DerivedColumn(
            name="sold", type="integer",
            description="pieces sold: of the variations together, else of the listing",
        ),
        DerivedColumn(name="variations", type="integer", description="different variations"),
    ),
    key=("item_number",),
    scope=("item_number",),
    touched={"ebay_listings": "SELECT item_number FROM {touched} AS touched"},
    select="""
        WITH variant AS (
            SELECT
                item_number,
                line_kind,
                max(title) AS title,
                max(available_quantity) AS available,
                max(sold_quantity) AS sold,
                count(*) AS rows,
                bool_or(available_quantity IS NULL) AS is_open
            FROM {ebay_listings_of_scopes} AS line
            GROUP BY item_number, line_kind, CASE line_kind WHEN 'variation' THEN
                variation_details END
        ),
        listing AS (
            SELECT
                item_number,
                coalesce(
                    max(title) FILTER (WHERE line_kind <> 'variation'), max(title)
                ) AS title,
                sum(available) FILTER (WHERE line_kind = 'variation') AS of_variations,
                max(available) FILTER (WHERE line_kind = 'parent') AS of_parent,
                max(available) FILTER (WHERE line_kind = 'single') AS of_single,
                coalesce(
                    sum(sold) FILTER (WHERE line_kind = 'variation'),
                    max(sold) FILTER (WHERE line_kind <> 'variation')
                ) AS sold,
                count(*) FILTER (WHERE line_kind = 'variation') AS variations,
                bool_or(line_kind = 'parent') AS has_parent,
                bool_or(line_kind = 'single') AS has_single,
                bool_or(is_open) AS is_open,
                bool_or(rows > 1) OR bool_or(line_kind = 'single') AND count(*) > 1 AS is_doubtful
            FROM variant
            GROUP BY item_number
        )
        SELECT
            item_number,
            title,
            CASE
                WHEN is_doubtful THEN 'doubtful'
                WHEN is_open THEN 'not known'
                WHEN has_single THEN 'single'
                WHEN NOT has_parent THEN 'no parent'
                WHEN variations = 0 THEN 'no variations'
                WHEN of_parent = of_variations THEN 'agrees'
                ELSE 'differs'
            END AS state,
            coalesce(of_variations, of_parent, of_single) AS available,
            of_parent AS available_of_parent,
            CASE WHEN NOT is_open THEN of_parent - of_variations END AS difference,
            sold,
            variations
        FROM listing
    """,
    of_scopes={
        "ebay_listings": "SELECT line.* FROM {ebay_listings} AS line JOIN {scope} AS scope "
        "USING (item_number)"
    },
    totals=("available", "sold", "variations"),
    first="state IN ('doubtful', 'differs', 'not known') DESC, item_number",
)  # fmt: skip
