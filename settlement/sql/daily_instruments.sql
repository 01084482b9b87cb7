-- What each instrument traded on the day $1 of the venue, whose clock is 8 hours ahead of UTC.
select
    t.instrument,
    count(*) as trades,
    sum(t.quantity) as volume,
    sum(t.amount) as amount,
    arg_min(t.price, t.trade) as open,
    max(t.price) as high,
    min(t.price) as low,
    arg_max(t.price, t.trade) as close,
    any_value(f.price) as fixing,
    any_value(f.ask - f.bid) as spread,
    sum(t.subsidy) as subsidy,
    coalesce(sum(t.quantity) filter (where t.programme is not null), 0) * 10000 // sum(t.quantity)
        as subsidised_basis_points,
    sum(t.buyer_fee + t.seller_fee) as fees
from trades as t
left join fixings as f on f.instrument = t.instrument and f.day = $1::date
where t.time >= $1::date - interval 8 hours
    and t.time < $1::date + interval 16 hours
    and not t.busted
group by t.instrument
order by sum(t.amount) desc, t.instrument;
