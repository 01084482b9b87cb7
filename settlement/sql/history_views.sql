-- Price history: bars, quotes, what happened to instruments, and the index of each tier.

create view bars_1s as
select
    i.instrument, b.* exclude (instrument), b.amount / b.volume as vwap,
    b.subsidised_volume / b.volume as subsidised_share
from base.bars_between('second', '-infinity'::timestamp, 'infinity'::timestamp) as b
left join base.instrument_names as i on i.number = b.instrument;

create view bars_1m as
select
    i.instrument, b.* exclude (instrument), b.amount / b.volume as vwap,
    b.subsidised_volume / b.volume as subsidised_share
from base.minutes as b
left join base.instrument_names as i on i.number = b.instrument;

create view bars_5m as
select
    i.instrument, b.* exclude (instrument), b.amount / b.volume as vwap,
    b.subsidised_volume / b.volume as subsidised_share
from base.bars_of(interval 5 minutes) as b
left join base.instrument_names as i on i.number = b.instrument;

create view bars_1h as
select
    i.instrument, b.* exclude (instrument), b.amount / b.volume as vwap,
    b.subsidised_volume / b.volume as subsidised_share
from base.bars_of(interval 1 hour) as b
left join base.instrument_names as i on i.number = b.instrument;

create view bars_1d as
select
    i.instrument, b.* exclude (instrument), b.amount / b.volume as vwap,
    b.subsidised_volume / b.volume as subsidised_share
from base.bars_of(interval 1 day) as b
left join base.instrument_names as i on i.number = b.instrument;

create view quotes_1m as
select i.instrument, q.start, q.bid, q.bid_quantity, q.ask, q.ask_quantity, q.sequence
from base.quotes as q
left join base.instrument_names as i on i.number = q.instrument;

-- What happened to instruments, by their numbers. The stated mix is three parts of input to one of
-- output and nothing cached: what it takes of lots goes with 3 x input weight + output weight.
create view base.events as
with told as (
    select
        number, sequence, time, who, why, state, weight_input, weight_cached, weight_output,
        3 * weight_input + weight_output as mix,
        lag(state) over t as state_before,
        lag([weight_input, weight_cached, weight_output]) over t as weights_before,
        lag(3 * weight_input + weight_output) over t as mix_before
    from base.instruments
    window t as (partition by number order by rowid)
)

select
    sequence, time, number, who, why,
    case
        when state = 'listed' and state_before in ('suspended', 'cancel_only') then 'resumed'
        when state_before is null and state <> 'proposed' then 'listed'
        else state
    end as event,
    1::double as factor
from told
where state is distinct from state_before
union all
select
    sequence, time, number, who, why, 'reweighted' as event,
    coalesce(mix / nullif(mix_before, 0), 1) as factor
from told
where [weight_input, weight_cached, weight_output] <> weights_before;

create view instrument_events as
select
    e.sequence, e.time, i.instrument, e.event, nullif(e.who, '') as who, nullif(e.why, '') as why,
    e.factor
from base.events as e
left join base.instrument_names as i on i.number = e.number;

-- A chained Jevons index a tier. Only a listed instrument is fixed, so whoever has a fixing on two
-- days was listed on both. Sums of doubles have an order, so that a store made anew has the same.
create view tier_index as
with models as (
    select number, tier
    from base.instruments
    where kind = 'model'
    qualify row_number() over (partition by number order by rowid desc) = 1
),

fixed as (
    select
        m.tier, f.day, f.instrument, f.sequence, f.price, f.stale,
        lag(f.day) over i as day_before,
        lag(f.price) over i as price_before,
        lag(f.sequence) over i as sequence_before
    from base.fixings as f
    inner join models as m on m.number = f.instrument
    window i as (partition by f.instrument order by f.day)
),

days as (
    select tier, day, lag(day) over (partition by tier order by day) as day_before
    from (select distinct tier, day from fixed)
),

factors as (
    select f.instrument, f.day, product(e.factor order by e.sequence) as factor
    from fixed as f
    inner join base.events as e
        on e.number = f.instrument and e.sequence > f.sequence_before and e.sequence < f.sequence
    where e.event = 'reweighted'
    group by f.instrument, f.day
),

steps as (
    select
        d.tier,
        d.day,
        d.day_before is null as is_first,
        coalesce(
            avg(ln(f.price * coalesce(x.factor, 1) / f.price_before) order by f.instrument), 0
        ) as step,
        count(f.instrument) as constituents,
        count(*) filter (where f.stale) as stale
    from days as d
    left join fixed as f
        on f.tier = d.tier and f.day = d.day and f.day_before is not distinct from d.day_before
    left join factors as x on x.instrument = f.instrument and x.day = f.day
    group by d.tier, d.day, d.day_before
)

select
    day,
    tier,
    1000 * exp(sum(step) over (partition by tier order by day)) as level,
    case when not is_first then exp(step) - 1 end as change,
    constituents,
    stale
from steps;
