select
selekt 1
select * into mine from trades
select missing from trades
select 1 for update
select 'x'::integer
select $1
lock table trades
