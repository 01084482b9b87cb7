select 1
from trades
from main.Trades
with x as (select * from trades) select count(*) from x
with a as (from trades), b as materialized (from a) select * from b join a using (trade)
with recursive r(n) as (select 1 union all select n + 1 from r where n < 5) from r
with trades as (from trades limit 1) from trades
select * exclude (time) replace (price / 10000 as price) rename (trade as number) from trades
select instrument, sum(quantity) filter (where subsidy > 0) from trades group by all order by all
select time_bucket(interval 5 minute, start) as five, arg_min(open, start), max(high) from bars_1m group by all
select row_number() over (partition by instrument order by trade), lag(price) over w from trades window w as (order by trade)
select distinct on (buyer) * from trades order by buyer, trade desc
select * from trades asof join bars_1m on trades.instrument = bars_1m.instrument and trades.time >= bars_1m.start
select * from trades semi join members on trades.buyer = members.member
select case when price between 1 and 2 then 'a' else upper(buyer) || '!' end from trades where buyer in (select member from members)
select list_transform([1, 2], lambda x: x + 1), [x * 2 for x in [1, 2]], {'a': 1}.a, unnest([1, 2])
select median(price), quantile_cont(price, [0.1, 0.9]), mode(buyer), count(distinct buyer) from trades
select cast(price as varchar), try_cast(buyer as integer), price::decimal(20, 4) from trades
select strftime(time, '%Y-%m'), date_trunc('day', time), extract(hour from time), time at time zone 'Asia/Shanghai' from trades
select coalesce(o.programme, 'none'), nullif(buyer, 'ann'), round(t.price / 3, 2), t.price // 7, t.price % 7 from orders o, trades t
select (select max(price) from trades), exists (from trades), 1 in (select trade from trades)
select a.price, b.price from trades as a, lateral (select max(price) as price from trades where trade < a.trade) as b
select price from trades union all select price from orders except select 1
select * from range(3) as r(i), generate_series(1, 3) as g(j)
from (values (1, 'x'), (2, 'y')) as v(a, b)
pivot trades on taker_side in ('buy', 'sell') using sum(quantity) group by instrument
unpivot (select price, quantity from trades) on price, quantity
select * from trades tablesample 50 percent
select columns('.*_fee') from trades
summarize trades
describe trades
describe select price from trades
show tables
explain select * from trades
explain analyze select count(*) from trades
explain (format json) select 1
select column_name, comment from duckdb_columns() where table_name = 'trades'
select * from information_schema.columns where table_name = 'trades'
values (1), (2)
/* why */ select 1 -- so
select "order" from orders;
select now(), current_date, random(), uuid()
