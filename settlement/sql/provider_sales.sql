-- What the provider $1 has sold.
select
    instrument,
    count(*) as trades,
    sum(quantity) as volume,
    sum(amount) as amount,
    sum(amount) // sum(quantity) as average_price,
    sum(seller_fee) as fees,
    sum(subsidy) as subsidy
from trades
where seller = $1 and not busted
group by instrument
order by sum(amount) desc, instrument;
