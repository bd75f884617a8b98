"""WHAT is imported: one module a feed, and the list of them."""

from csv_pipeline.feeds.coupa_purchase_orders import COUPA_PURCHASE_ORDERS
from csv_pipeline.feeds.customers import CUSTOMERS
from csv_pipeline.feeds.dme_equipment import DME_EQUIPMENT
from csv_pipeline.feeds.dme_fee_schedule import DME_FEE_SCHEDULE
from csv_pipeline.feeds.dme_supplier_services import DME_SUPPLIER_SERVICES
from csv_pipeline.feeds.ebay_listings import EBAY_LISTINGS
from csv_pipeline.feeds.ebay_orders import EBAY_ORDERS
from csv_pipeline.feeds.ebay_transactions import EBAY_TRANSACTIONS
from csv_pipeline.feeds.election_transactions import ELECTION_TRANSACTIONS
from csv_pipeline.feeds.products import PRODUCTS
from csv_pipeline.spec.feed import Feed

FEEDS: tuple[Feed, ...] = (
    EBAY_ORDERS,
    EBAY_LISTINGS,
    EBAY_TRANSACTIONS,
    PRODUCTS,
    CUSTOMERS,
    DME_SUPPLIER_SERVICES,
    DME_EQUIPMENT,
    DME_FEE_SCHEDULE,
    COUPA_PURCHASE_ORDERS,
    ELECTION_TRANSACTIONS,
)
