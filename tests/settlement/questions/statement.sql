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
copy (select * from read_text('/etc/passwd')) to '{folder}/stolen.csv'
copy trades to '{folder}' (format parquet, partition_by (instrument))
copy trades to 'http://localhost/x'
copy from database memory to other
attach '{folder}/other.duckdb' as other
attach if not exists '{folder}/other.duckdb'
use base
use main
load '{folder}/evil.duckdb_extension'
install 'https://localhost/evil.duckdb_extension'
export database '{folder}' (format parquet)
prepare p as copy trades to '{folder}/stolen.csv'
execute p(1)
create view mine as from trades
create function mine(a) as a
create or replace macro own(name) as true
create macro mine() as table from base.trades
create schema mine
create sequence s
create type mood as enum ('x')
create index i on base.trades (trade)
drop schema firm cascade
alter view firm.trades rename to x
pragma memory_limit = '10GB'
pragma database_size
pragma show_tables
call pragma_database_size()
call read_csv('/etc/passwd')
set schema = 'base'
set search_path = 'base'
set session threads = 64
set global memory_limit = '100GB'
set variable x = (select count(*) from base.trades)
reset variable viewer
explain analyze update base.trades set price = 0
vacuum analyze
update extensions
update extensions (httpfs)
