-- What all providers together have issued of each instrument, and what of it was redeemed and expired.
select instrument, sum(issued), sum(redeemed), sum(expired)
from base.obligations
group by instrument;
