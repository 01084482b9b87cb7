-- How the instrument with the largest amount went on the day $1, in quarters of an hour.
with day as (
    select *, start + interval 8 hours as here
    from bars_1m
    where start >= $1::date - interval 8 hours and start < $1::date + interval 16 hours
)

select
    instrument,
    time_bucket(interval 15 minutes, here) as quarter,
    arg_min(open, here) as open,
    max(high) as high,
    min(low) as low,
    arg_max(close, here) as close,
    sum(volume) as volume
from day
where instrument = (
    select instrument
    from day
    group by instrument
    order by sum(amount) desc, instrument
    limit 1
)
group by instrument, quarter
order by quarter;
