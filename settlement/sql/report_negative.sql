-- The first balances of which the sign may not be: debts stand at or below 0, all others but outside
-- at or above it.
select member, account, asset, sum(amount) as balance
from postings
where account <> 'outside'
group by member, account, asset
having case when account = 'debt' then sum(amount) > 0 else sum(amount) < 0 end
order by member, account, asset
limit 5;
