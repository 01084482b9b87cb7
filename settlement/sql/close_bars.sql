-- Write the bars of the minutes that begin from `bars_before` on, and before $1 (µs since 1970).
insert into base.bars
select
    instrument,
    date_trunc('minute', time) as start,
    arg_min(price, trade) as open,
    max(price) as high,
    min(price) as low,
    arg_max(price, trade) as close,
    sum(quantity)::bigint as volume,
    sum(price * quantity)::bigint as amount,
    count(*) as trades,
    coalesce(sum(quantity) filter (where subsidy > 0), 0)::bigint as subsidised_volume
from base.trades
where time >= (select bars_before from base.watermark) and time < make_timestamp($1)
group by instrument, start
order by start, instrument;
