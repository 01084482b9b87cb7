copy trades to '{folder}/stolen.csv'
copy (select 1) to '{folder}/stolen.csv'
copy trades to '{database}'
copy base.trades from '/etc/passwd'
insert into base.trades select * from base.trades
update base.trades set price = 0
delete from base.trades
truncate base.trades
merge into base.trades using base.trades as s on true when matched then delete
create table mine as select 1
create temp table mine as select 1
create macro mine() as 1
create secret mine (type s3)
drop view trades
alter table base.trades add column x integer
comment on view trades is 'mine'
attach ':memory:' as other
attach '{database}' as other
detach memory
install httpfs
load httpfs
force install httpfs from 'http://localhost/'
export database '{folder}'
import database '{folder}'
pragma database_list
pragma enable_profiling
call pragma_version()
call force_checkpoint()
checkpoint
vacuum
analyze
set threads = 64
set enable_external_access = true
set lock_configuration = false
set variable viewer = 'bob'
reset threads
use firm
begin
commit
rollback
prepare p as select 1
execute p
deallocate p
explain delete from base.trades
explain analyze delete from base.trades
explain analyze copy trades to '{folder}/stolen.csv'
pivot trades on instrument using sum(quantity)
with a as (select 1) insert into base.trades select * from base.trades
