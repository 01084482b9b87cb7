with x as (copy trades to '{folder}/stolen.csv') select 1
with x as (copy trades to '{database}') select 1
with x as (insert into base.refusals select * from base.refusals returning 1) select * from x
with x as (delete from base.trades returning trade) from x
with x as (update base.trades set price = 0 returning 1) from x
select * from (with x as (copy trades to '{folder}/stolen.csv') from x)
select 1 union all (with x as (copy trades to '{folder}/stolen.csv') select 1)
select (with x as (delete from base.trades returning trade) select count(*) from x)
explain analyze with x as (copy trades to '{folder}/stolen.csv') select 1
