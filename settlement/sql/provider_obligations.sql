-- What the provider $1 has issued, and still owes.
select instrument, issued, redeemed, expired, open
from obligations
where provider = $1
order by instrument;
