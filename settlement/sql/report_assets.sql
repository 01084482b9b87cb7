-- The trial balance: each asset's postings sum to zero. Also what members own of it, and owe.
select
    asset,
    count(*) as postings,
    sum(amount) as total,
    coalesce(sum(amount) filter (where account in ('free', 'restricted', 'redeeming')), 0) as owned
from postings
group by asset
order by asset <> 'money', asset;
