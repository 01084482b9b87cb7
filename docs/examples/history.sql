-- Views over a venue's history for DuckDB: start it in the venue's folder, then `.read history.sql`.
-- They need no server, and may be asked while the venue runs. Prices are hao per lot (1 hao = 0.0001
-- yuan), times are UTC, `day` is the venue's day (UTC+8).

create or replace view trades as
from read_parquet('history/public/trades/*/*.parquet', hive_partitioning = true);

create or replace view bars_1m as
from read_parquet('history/public/bars_1m/*/*.parquet', hive_partitioning = true);

create or replace view quotes_1m as
from read_parquet('history/public/quotes_1m/*/*.parquet', hive_partitioning = true);

create or replace view fixings as
from read_parquet('history/public/fixings/*/*.parquet', hive_partitioning = true);

create or replace view instrument_events as
from read_parquet('history/public/instrument_events/*/*.parquet', hive_partitioning = true);

-- What follows is for whoever may read history/full.

create or replace view all_trades as
from read_parquet('history/full/trades/*/*.parquet', hive_partitioning = true);

create or replace view postings as
from read_parquet('history/full/postings/*/*.parquet', hive_partitioning = true);

create or replace view subsidy_legs as
from read_parquet('history/full/subsidy_legs/*/*.parquet', hive_partitioning = true);

-- Bars of the venue's days, out of minutes.
create or replace view bars_1d as
select
    instrument,
    day,
    arg_min(open, start) as open,
    max(high) as high,
    min(low) as low,
    arg_max(close, start) as close,
    sum(volume)::bigint as volume,
    sum(amount)::bigint as amount,
    sum(trades)::bigint as trades,
    sum(subsidised_volume)::bigint as subsidised_volume,
    sum(subsidy)::bigint as subsidy,
    sum(amount) / sum(volume) as vwap
from bars_1m
group by instrument, day;
