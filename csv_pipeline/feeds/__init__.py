"""WHAT is imported: one module a feed, and the list of them."""

from csv_pipeline.feeds.customers import CUSTOMERS
from csv_pipeline.feeds.dme_equipment import DME_EQUIPMENT
from csv_pipeline.feeds.dme_supplier_services import DME_SUPPLIER_SERVICES
from csv_pipeline.feeds.ebay_listings import EBAY_LISTINGS
from csv_pipeline.feeds.ebay_orders import EBAY_ORDERS
from csv_pipeline.feeds.ebay_transactions import EBAY_TRANSACTIONS
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
)
