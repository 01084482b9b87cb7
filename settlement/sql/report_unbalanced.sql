-- The first entries whose postings of one asset do not sum to zero.
select entry, asset, sum(amount) as total
from postings
group by entry, asset
having sum(amount) <> 0
order by entry, asset
limit 5;
