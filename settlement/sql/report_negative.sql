-- The first balances below zero, of accounts that may not be.
select member, account, asset, sum(amount) as balance
from postings
where account in ('free', 'restricted', 'fees')
group by member, account, asset
having sum(amount) < 0
order by member, account, asset
limit 5;
