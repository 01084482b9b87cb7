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
