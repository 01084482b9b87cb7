from '/etc/passwd'
from '{database}'
select * from 'http://localhost/x.parquet'
select * from trades, '/etc/passwd'
select * from trades where trade in (select 1 from '/etc/passwd')
describe '/etc/passwd'
summarize '/etc/passwd'
select * from base.trades
from base.watermark
show base.trades
with trades as (from base.trades) from trades
with "base.trades" as (select 1) select * from base.trades
with secret as (from secret) from secret
select * from (with "/etc/passwd" as (select 1) from "/etc/passwd"), '/etc/passwd'
with "ducKdb_settings" as (select 1) from duckdb_settings
from duckdb_settings
from duckdb_secrets
from pg_catalog.pg_class
from sqlite_master
from firm.trades
show databases
show all tables
pivot '/etc/passwd' on x in (1) using sum(y)
from new_trades
from '{folder}/*.parquet'
from 'x.csv'
from "x.json.gz"
from 's3://bucket/x.parquet'
from "base"."trades"
from memory.base.trades
from settlement.base.order_entries
from firm.orders
from pg_catalog.pg_tables
from pg_class
from pg_settings
from information_schema.schemata
from information_schema.views
from information_schema.character_sets
from information_schema.referential_constraints
from information_schema.table_constraints
from duckdb_tables
from duckdb_columns
from duckdb_databases
from duckdb_logs
from pragma_database_list
from sqlite_schema
from sqlite_temp_master
select (from base.orders limit 1)
select exists (from base.order_entries)
select 1 in (select "order" from base.order_entries)
select * from trades t, lateral (select * from base.postings p where p.entry = t.entry)
select * from trades t join base.order_entries e on e."order" = t.buy_order
select * from trades positional join base.trades
select * from (unpivot base.trades on price, quantity)
select * from (describe base.trades)
summarize base.trades
describe base.order_entries
with x as (with y as (from base.trades) from y) from x
with recursive r as (select 1 as n union all select trade from base.trades) from r
from trades union all by name from base.trades
from standing_trades
from os
from df
from new_orders
