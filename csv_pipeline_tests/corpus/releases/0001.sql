-- What commit c96094f, the first that imported files, made of customers-1.csv and customers-2.csv;
-- pg_dump --inserts of both schemas.
SET statement_timeout = 0;
SET lock_timeout = 0;
SET idle_in_transaction_session_timeout = 0;
SET client_encoding = 'UTF8';
SET standard_conforming_strings = on;
SET check_function_bodies = false;
SET xmloption = content;
SET client_min_messages = warning;
SET row_security = off;
CREATE SCHEMA csv_pipeline;
CREATE SCHEMA data;
SET default_tablespace = '';
SET default_table_access_method = heap;
CREATE TABLE csv_pipeline.account (
    account text NOT NULL,
    seller_id text,
    date_order text,
    decimal_mark text,
    encoding text,
    created_at timestamp with time zone DEFAULT now() NOT NULL
);
CREATE TABLE csv_pipeline.alembic_version (
    version_num character varying(32) NOT NULL
);
CREATE TABLE csv_pipeline.arrival (
    arrival_id bigint NOT NULL,
    account text NOT NULL,
    feed text NOT NULL,
    location text NOT NULL,
    name text NOT NULL,
    size_bytes bigint NOT NULL,
    modified_at timestamp with time zone NOT NULL,
    seen_at timestamp with time zone DEFAULT now() NOT NULL,
    status text DEFAULT 'waiting'::text NOT NULL,
    requests integer DEFAULT 0 NOT NULL,
    attempt integer DEFAULT 0 NOT NULL,
    lease_expires_at timestamp with time zone,
    run_id text,
    import_id bigint,
    problem text
);
ALTER TABLE csv_pipeline.arrival ALTER COLUMN arrival_id ADD GENERATED ALWAYS AS IDENTITY (
    SEQUENCE NAME csv_pipeline.arrival_arrival_id_seq
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1
);
CREATE TABLE csv_pipeline.import (
    import_id bigint NOT NULL,
    arrival_id bigint NOT NULL,
    account text NOT NULL,
    feed text NOT NULL,
    name text NOT NULL,
    outcome text NOT NULL,
    fingerprint text,
    run_id text,
    finished_at timestamp with time zone DEFAULT now() NOT NULL,
    read bigint NOT NULL,
    inserted bigint NOT NULL,
    updated bigint NOT NULL,
    unchanged bigint NOT NULL,
    kept bigint NOT NULL,
    superseded bigint NOT NULL,
    rejected bigint NOT NULL,
    blank bigint NOT NULL,
    furniture bigint NOT NULL,
    problem text,
    problem_code text,
    same_as bigint,
    report jsonb NOT NULL,
    CONSTRAINT every_row_has_one_outcome CHECK (((outcome <> 'imported'::text) OR (read = (((((inserted + updated) + unchanged) + kept) + superseded) + rejected))))
);
CREATE SEQUENCE csv_pipeline.import_id
    START WITH 1
    INCREMENT BY 1
    NO MINVALUE
    NO MAXVALUE
    CACHE 1;
CREATE TABLE csv_pipeline.reject (
    import_id bigint NOT NULL,
    row_number bigint NOT NULL,
    line_number bigint NOT NULL,
    "column" text,
    rule text NOT NULL,
    value text,
    message text NOT NULL,
    raw text NOT NULL
);
CREATE TABLE csv_pipeline.superseded (
    import_id bigint NOT NULL,
    row_number bigint NOT NULL,
    by_row_number bigint NOT NULL
);
CREATE TABLE csv_pipeline.target (
    feed text NOT NULL,
    definition text NOT NULL
);
CREATE TABLE data.customers (
    account text NOT NULL COLLATE pg_catalog."C",
    customer_key text NOT NULL COLLATE pg_catalog."C",
    customer_id text,
    username text,
    name text,
    email text,
    phone text,
    address_1 text,
    address_2 text,
    city text,
    state text,
    postal_code text,
    country text,
    first_order_on date,
    notes text,
    _extra jsonb,
    _import_id bigint NOT NULL,
    _created_import_id bigint NOT NULL,
    _row_number bigint NOT NULL,
    _updated_at timestamp with time zone NOT NULL
);
COMMENT ON COLUMN data.customers.customer_key IS 'the customer id, or else the user name';
CREATE TABLE data.customers_history (
    _replaced_by_import_id bigint NOT NULL,
    _replaced_at timestamp with time zone DEFAULT now() NOT NULL,
    account text NOT NULL COLLATE pg_catalog."C",
    customer_key text NOT NULL COLLATE pg_catalog."C",
    customer_id text,
    username text,
    name text,
    email text,
    phone text,
    address_1 text,
    address_2 text,
    city text,
    state text,
    postal_code text,
    country text,
    first_order_on date,
    notes text,
    _extra jsonb,
    _import_id bigint NOT NULL,
    _created_import_id bigint NOT NULL,
    _row_number bigint NOT NULL,
    _updated_at timestamp with time zone NOT NULL
);
COMMENT ON COLUMN data.customers_history.customer_key IS 'the customer id, or else the user name';
CREATE TABLE data.ebay_orders (
    account text NOT NULL COLLATE pg_catalog."C",
    order_key text NOT NULL COLLATE pg_catalog."C",
    item_number text NOT NULL COLLATE pg_catalog."C",
    transaction_id text NOT NULL COLLATE pg_catalog."C",
    line_kind text,
    layout text,
    order_id text,
    sales_record_number text,
    sold_on date,
    sold_time time without time zone,
    paid_on date,
    quantity bigint,
    sold_for numeric(18,2),
    shipping_and_handling numeric(18,2),
    total_price numeric(18,2),
    currency text,
    buyer_username text,
    buyer_name text,
    buyer_email text,
    buyer_note text,
    buyer_address_1 text,
    buyer_address_2 text,
    buyer_city text,
    buyer_state text,
    buyer_zip text,
    buyer_country text,
    buyer_tax_identifier_name text,
    buyer_tax_identifier_value text,
    ship_to_name text,
    ship_to_phone text,
    ship_to_address_1 text,
    ship_to_address_2 text,
    ship_to_city text,
    ship_to_state text,
    ship_to_zip text,
    ship_to_country text,
    item_title text,
    custom_label text,
    variation_details text,
    sold_via_promoted_listings text,
    item_location text,
    item_zip_code text,
    item_country text,
    collect_and_remit_tax_rate text,
    collect_and_remit_tax_type text,
    ebay_reference_name text,
    ebay_reference_value text,
    tax_status text,
    seller_collected_tax numeric(18,2),
    ebay_collected_tax numeric(18,2),
    electronic_waste_recycling_fee numeric(18,2),
    mattress_recycling_fee numeric(18,2),
    battery_recycling_fee numeric(18,2),
    white_goods_disposal_tax numeric(18,2),
    tire_recycling_fee numeric(18,2),
    additional_fee numeric(18,2),
    lumber_fee numeric(18,2),
    prepaid_wireless_fee numeric(18,2),
    road_improvement_and_food_delivery_fee numeric(18,2),
    ebay_collected_charges numeric(18,2),
    collected_tax_and_fees_included text,
    payment_method text,
    ship_by_on date,
    delivery_from_on date,
    delivery_until_on date,
    shipped_on date,
    feedback_left text,
    feedback_received text,
    my_item_note text,
    paypal_transaction_id text,
    shipping_service text,
    tracking_number text,
    global_shipping_program text,
    global_shipping_reference_id text,
    click_and_collect text,
    click_and_collect_reference_number text,
    ebay_plus text,
    authenticity_verification_program text,
    authenticity_verification_status text,
    authenticity_verification_outcome_reason text,
    psa_vault_program text,
    vault_fulfillment_type text,
    ebay_fulfillment_program text,
    tax_city text,
    tax_state text,
    tax_zip text,
    tax_country text,
    ebay_international_shipping text,
    order_status text,
    payment_status text,
    shipping_status text,
    _extra jsonb,
    _import_id bigint NOT NULL,
    _created_import_id bigint NOT NULL,
    _row_number bigint NOT NULL,
    _updated_at timestamp with time zone NOT NULL
);
COMMENT ON COLUMN data.ebay_orders.order_key IS 'the order number, or else the sales record number';
COMMENT ON COLUMN data.ebay_orders.item_number IS 'eBay''s number of the listing; empty on a summary row';
COMMENT ON COLUMN data.ebay_orders.transaction_id IS 'eBay''s number of the sale of one item';
COMMENT ON COLUMN data.ebay_orders.line_kind IS 'single: an order of one item; summary: an order of several, without item; item: one of these';
COMMENT ON COLUMN data.ebay_orders.layout IS 'seller_hub, or simple for a seller''s own list';
COMMENT ON COLUMN data.ebay_orders.order_id IS 'absent on a committed but unpaid row';
COMMENT ON COLUMN data.ebay_orders.sold_time IS 'where the file gives one; orders have no time zone';
COMMENT ON COLUMN data.ebay_orders.sold_for IS 'of one piece; on a summary row the sum of the items';
COMMENT ON COLUMN data.ebay_orders.total_price IS 'absent on an item row';
COMMENT ON COLUMN data.ebay_orders.currency IS 'ISO 4217 as the amounts state it; $ where they show only that';
CREATE VIEW data.ebay_order_totals AS
 SELECT account,
    order_key,
    max(order_id) AS order_id,
    max(sales_record_number) AS sales_record_number,
    max(currency) AS currency,
    max(sold_on) AS sold_on,
    max(paid_on) AS paid_on,
    COALESCE(bool_or(((order_id IS NULL) AND (paid_on IS NULL))), false) AS is_unpaid,
    count(*) FILTER (WHERE (line_kind <> 'summary'::text)) AS items,
    COALESCE(sum(((COALESCE(quantity, (1)::bigint))::numeric * sold_for)) FILTER (WHERE (line_kind <> 'summary'::text)), max(sold_for) FILTER (WHERE (line_kind = 'summary'::text)), max(total_price)) AS revenue,
    max(shipping_and_handling) FILTER (WHERE (line_kind <> 'item'::text)) AS shipping,
    max(total_price) FILTER (WHERE (line_kind <> 'item'::text)) AS total
   FROM data.ebay_orders line
  WHERE (NOT ((order_id IS NULL) AND (EXISTS ( SELECT
           FROM data.ebay_orders paid
          WHERE ((paid.account = line.account) AND (paid.order_id IS NOT NULL) AND (paid.sales_record_number = line.sales_record_number) AND (paid.item_number = line.item_number) AND (paid.transaction_id = line.transaction_id))))))
  GROUP BY account, order_key;
CREATE TABLE data.ebay_orders_history (
    _replaced_by_import_id bigint NOT NULL,
    _replaced_at timestamp with time zone DEFAULT now() NOT NULL,
    account text NOT NULL COLLATE pg_catalog."C",
    order_key text NOT NULL COLLATE pg_catalog."C",
    item_number text NOT NULL COLLATE pg_catalog."C",
    transaction_id text NOT NULL COLLATE pg_catalog."C",
    line_kind text,
    layout text,
    order_id text,
    sales_record_number text,
    sold_on date,
    sold_time time without time zone,
    paid_on date,
    quantity bigint,
    sold_for numeric(18,2),
    shipping_and_handling numeric(18,2),
    total_price numeric(18,2),
    currency text,
    buyer_username text,
    buyer_name text,
    buyer_email text,
    buyer_note text,
    buyer_address_1 text,
    buyer_address_2 text,
    buyer_city text,
    buyer_state text,
    buyer_zip text,
    buyer_country text,
    buyer_tax_identifier_name text,
    buyer_tax_identifier_value text,
    ship_to_name text,
    ship_to_phone text,
    ship_to_address_1 text,
    ship_to_address_2 text,
    ship_to_city text,
    ship_to_state text,
    ship_to_zip text,
    ship_to_country text,
    item_title text,
    custom_label text,
    variation_details text,
    sold_via_promoted_listings text,
    item_location text,
    item_zip_code text,
    item_country text,
    collect_and_remit_tax_rate text,
    collect_and_remit_tax_type text,
    ebay_reference_name text,
    ebay_reference_value text,
    tax_status text,
    seller_collected_tax numeric(18,2),
    ebay_collected_tax numeric(18,2),
    electronic_waste_recycling_fee numeric(18,2),
    mattress_recycling_fee numeric(18,2),
    battery_recycling_fee numeric(18,2),
    white_goods_disposal_tax numeric(18,2),
    tire_recycling_fee numeric(18,2),
    additional_fee numeric(18,2),
    lumber_fee numeric(18,2),
    prepaid_wireless_fee numeric(18,2),
    road_improvement_and_food_delivery_fee numeric(18,2),
    ebay_collected_charges numeric(18,2),
    collected_tax_and_fees_included text,
    payment_method text,
    ship_by_on date,
    delivery_from_on date,
    delivery_until_on date,
    shipped_on date,
    feedback_left text,
    feedback_received text,
    my_item_note text,
    paypal_transaction_id text,
    shipping_service text,
    tracking_number text,
    global_shipping_program text,
    global_shipping_reference_id text,
    click_and_collect text,
    click_and_collect_reference_number text,
    ebay_plus text,
    authenticity_verification_program text,
    authenticity_verification_status text,
    authenticity_verification_outcome_reason text,
    psa_vault_program text,
    vault_fulfillment_type text,
    ebay_fulfillment_program text,
    tax_city text,
    tax_state text,
    tax_zip text,
    tax_country text,
    ebay_international_shipping text,
    order_status text,
    payment_status text,
    shipping_status text,
    _extra jsonb,
    _import_id bigint NOT NULL,
    _created_import_id bigint NOT NULL,
    _row_number bigint NOT NULL,
    _updated_at timestamp with time zone NOT NULL
);
COMMENT ON COLUMN data.ebay_orders_history.order_key IS 'the order number, or else the sales record number';
COMMENT ON COLUMN data.ebay_orders_history.item_number IS 'eBay''s number of the listing; empty on a summary row';
COMMENT ON COLUMN data.ebay_orders_history.transaction_id IS 'eBay''s number of the sale of one item';
COMMENT ON COLUMN data.ebay_orders_history.line_kind IS 'single: an order of one item; summary: an order of several, without item; item: one of these';
COMMENT ON COLUMN data.ebay_orders_history.layout IS 'seller_hub, or simple for a seller''s own list';
COMMENT ON COLUMN data.ebay_orders_history.order_id IS 'absent on a committed but unpaid row';
COMMENT ON COLUMN data.ebay_orders_history.sold_time IS 'where the file gives one; orders have no time zone';
COMMENT ON COLUMN data.ebay_orders_history.sold_for IS 'of one piece; on a summary row the sum of the items';
COMMENT ON COLUMN data.ebay_orders_history.total_price IS 'absent on an item row';
COMMENT ON COLUMN data.ebay_orders_history.currency IS 'ISO 4217 as the amounts state it; $ where they show only that';
INSERT INTO csv_pipeline.account VALUES ('acme', NULL, NULL, NULL, NULL, '2026-11-27 10:17:39.661929+00');
INSERT INTO csv_pipeline.alembic_version VALUES ('0001');
INSERT INTO csv_pipeline.arrival OVERRIDING SYSTEM VALUE VALUES (1, 'acme', 'customers', 'FOLDER/customers-1.csv', 'customers-1.csv', 114, '2026-11-27 10:17:23.297245+00', '2026-11-27 10:17:39.661929+00', 'imported', 0, 1, NULL, NULL, 1, NULL);
INSERT INTO csv_pipeline.arrival OVERRIDING SYSTEM VALUE VALUES (2, 'acme', 'customers', 'FOLDER/customers-2.csv', 'customers-2.csv', 89, '2026-11-27 10:17:23.304657+00', '2026-11-27 10:18:06.235258+00', 'imported', 0, 1, NULL, NULL, 2, NULL);
INSERT INTO csv_pipeline.import VALUES (1, 1, 'acme', 'customers', 'customers-1.csv', 'imported', '5400a6d7fee06f56497a6765850c21b60f9e0e6f5e46eecac31b344b47089a8c', NULL, '2026-11-27 10:17:40.983988+00', 3, 2, 0, 0, 0, 0, 1, 0, 0, NULL, NULL, NULL, '{"feed": "customers", "name": "customers-1.csv", "drift": {"added": [], "missing": []}, "counts": {"kept": 0, "read": 3, "blank": 0, "updated": 0, "inserted": 2, "rejected": 1, "furniture": 0, "unchanged": 0, "superseded": 0}, "account": "acme", "outcome": "imported", "problem": null, "same_as": null, "evidence": [{"because": "all bytes are valid UTF-8", "subject": "encoding", "decision": "utf-8"}, {"because": "it splits line 1 into 4 names", "subject": "delimiter", "decision": "comma"}, {"because": "4 of its 4 names are known to the feed", "subject": "header", "decision": "line 1"}, {"because": "the header has ''Customer ID''", "subject": "layout", "decision": "by id or user name"}], "import_id": 1, "arrival_id": 1, "problem_code": null, "stage_seconds": {"load": 0.146, "read": 0.0457, "arrive": 0.0095, "validate": 1.1324, "transform": 0.0528}, "rejects_by_rule": {"email.matches": 1}, "rejects_by_column": {"email": 1}}');
INSERT INTO csv_pipeline.import VALUES (2, 2, 'acme', 'customers', 'customers-2.csv', 'imported', 'e7b59c179ebdb7ddfbc82ba7317118d8c48697d143869443e8f14d10751553eb', NULL, '2026-11-27 10:18:07.90457+00', 2, 1, 1, 0, 0, 0, 0, 0, 0, NULL, NULL, NULL, '{"feed": "customers", "name": "customers-2.csv", "drift": {"added": [], "missing": []}, "counts": {"kept": 0, "read": 2, "blank": 0, "updated": 1, "inserted": 1, "rejected": 0, "furniture": 0, "unchanged": 0, "superseded": 0}, "account": "acme", "outcome": "imported", "problem": null, "same_as": null, "evidence": [{"because": "all bytes are valid UTF-8", "subject": "encoding", "decision": "utf-8"}, {"because": "it splits line 1 into 4 names", "subject": "delimiter", "decision": "comma"}, {"because": "4 of its 4 names are known to the feed", "subject": "header", "decision": "line 1"}, {"because": "the header has ''Customer ID''", "subject": "layout", "decision": "by id or user name"}], "import_id": 2, "arrival_id": 2, "problem_code": null, "stage_seconds": {"load": 0.2728, "read": 0.0738, "arrive": 0.0157, "validate": 1.3932, "transform": 0.053}, "rejects_by_rule": {}, "rejects_by_column": {}}');
INSERT INTO csv_pipeline.reject VALUES (1, 4, 4, 'email', 'email.matches', 'not-an-address', 'row 4 (line 4), column email (''Email''): ••• breaks rule email.matches (an address such as name@example.com)', 'C3,Cid,not-an-address,Rome');
INSERT INTO csv_pipeline.target VALUES ('ebay_orders', '66e257f64bd933fca7fdada3cac9e7c2516015b183ee2a12ba47c7b359091012');
INSERT INTO csv_pipeline.target VALUES ('customers', '4c131c7f17583b9b5fc627d55e0510d2d0e9c81673d4212b9e5b4c2bba8a46cf');
INSERT INTO data.customers VALUES ('acme', 'C1', 'C1', NULL, 'Ann', 'ann@example.org', NULL, NULL, NULL, 'Berlin', NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 2, '2026-11-27 10:17:41.042601+00');
INSERT INTO data.customers VALUES ('acme', 'C4', 'C4', NULL, 'Dee', 'dee@example.org', NULL, NULL, NULL, 'Oslo', NULL, NULL, NULL, NULL, NULL, NULL, 2, 2, 3, '2026-11-27 10:18:08.026586+00');
INSERT INTO data.customers VALUES ('acme', 'C2', 'C2', NULL, 'Bob Moss', 'bob@example.org', NULL, NULL, NULL, 'Lyon', NULL, NULL, NULL, NULL, NULL, NULL, 2, 1, 2, '2026-11-27 10:18:08.053958+00');
INSERT INTO data.customers_history VALUES (2, '2026-11-27 10:18:07.90457+00', 'acme', 'C2', 'C2', NULL, 'Bob', 'bob@example.org', NULL, NULL, NULL, 'Paris', NULL, NULL, NULL, NULL, NULL, NULL, 1, 1, 3, '2026-11-27 10:17:41.042601+00');
SELECT pg_catalog.setval('csv_pipeline.arrival_arrival_id_seq', 2, true);
SELECT pg_catalog.setval('csv_pipeline.import_id', 2, true);
ALTER TABLE ONLY csv_pipeline.account
    ADD CONSTRAINT account_pkey PRIMARY KEY (account);
ALTER TABLE ONLY csv_pipeline.alembic_version
    ADD CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num);
ALTER TABLE ONLY csv_pipeline.arrival
    ADD CONSTRAINT arrival_is_found_once UNIQUE (account, feed, location, size_bytes, modified_at);
ALTER TABLE ONLY csv_pipeline.arrival
    ADD CONSTRAINT arrival_pkey PRIMARY KEY (arrival_id);
ALTER TABLE ONLY csv_pipeline.import
    ADD CONSTRAINT import_pkey PRIMARY KEY (import_id);
ALTER TABLE ONLY csv_pipeline.target
    ADD CONSTRAINT target_pkey PRIMARY KEY (feed);
ALTER TABLE ONLY data.customers
    ADD CONSTRAINT customers_key PRIMARY KEY (account, customer_key);
ALTER TABLE ONLY data.ebay_orders
    ADD CONSTRAINT ebay_orders_key PRIMARY KEY (account, order_key, item_number, transaction_id);
CREATE INDEX arrival_open ON csv_pipeline.arrival USING btree (account, feed) WHERE (status <> 'imported'::text);
CREATE UNIQUE INDEX import_content_once ON csv_pipeline.import USING btree (account, feed, fingerprint) WHERE (outcome = 'imported'::text);
CREATE INDEX reject_by_import ON csv_pipeline.reject USING btree (import_id, row_number);
CREATE INDEX superseded_by_import ON csv_pipeline.superseded USING btree (import_id, row_number);
CREATE INDEX customers_history_by_import ON data.customers_history USING btree (_replaced_by_import_id);
CREATE INDEX ebay_orders_history_by_import ON data.ebay_orders_history USING btree (_replaced_by_import_id);
ALTER TABLE ONLY csv_pipeline.import
    ADD CONSTRAINT import_arrival_id_fkey FOREIGN KEY (arrival_id) REFERENCES csv_pipeline.arrival(arrival_id);
