-- What analysts see: names instead of numbers, words instead of codes.

create view trades as
select
    t.trade,
    t.sequence,
    t.time,
    i.instrument,
    t.price,
    t.quantity,
    t.price * t.quantity as amount,
    base.side_word(t.taker_side) as taker_side,
    t.buy_order,
    t.sell_order,
    b.member as buyer,
    s.member as seller,
    t.buyer_fee,
    t.seller_fee,
    t.subsidy,
    base.phase_word(t.phase) as phase,
    p.programme,
    t.entry
from base.trades as t
left join base.instrument_names as i on i.number = t.instrument
left join base.member_names as b on b.number = t.buyer
left join base.member_names as s on s.number = t.seller
left join base.programmes as p on p.number = t.programme;

create view orders as
with changes as (
    select
        "order",
        arg_max(state, last_sequence) as state,
        arg_max(quantity, last_sequence) as quantity,
        arg_max(filled_quantity, last_sequence) as filled_quantity,
        arg_max(gross, last_sequence) as gross,
        arg_max(subsidy, last_sequence) as subsidy,
        max(last_sequence) as last_sequence
    from base.order_changes
    group by "order"
)

select
    e."order",
    e.client_id,
    e.sequence,
    e.time,
    m.member,
    i.instrument,
    base.side_word(e.side) as side,
    base.type_word(e.type) as type,
    base.time_in_force_word(e.time_in_force) as time_in_force,
    e.price,
    coalesce(c.quantity, e.quantity) as quantity,
    p.programme,
    base.state_word(coalesce(c.state, e.state)) as state,
    false as replaced,
    coalesce(c.filled_quantity, e.filled_quantity) as filled_quantity,
    coalesce(c.gross, e.gross) as gross,
    coalesce(c.subsidy, e.subsidy) as subsidy,
    e.subsidy_reserved,
    coalesce(c.last_sequence, e.last_sequence) as last_sequence
from base.order_entries as e
left join changes as c on c."order" = e."order"
left join base.member_names as m on m.number = e.member
left join base.instrument_names as i on i.number = e.instrument
left join base.programmes as p on p.number = e.programme;

create view executions as
with sides as (
    select
        2 * trade - 1 as execution, trade, buy_order as "order", sequence, time, buyer as member,
        instrument, 'buy' as side, price, quantity, buyer_fee as fee, subsidy,
        taker_side <> 0 as maker
    from base.trades
    union all
    select
        2 * trade as execution, trade, sell_order as "order", sequence, time, seller as member,
        instrument, 'sell' as side, price, quantity, seller_fee as fee, 0::bigint as subsidy,
        taker_side <> 1 as maker
    from base.trades
)

select
    x.execution, x.trade, x."order", x.sequence, x.time, m.member, i.instrument, x.side, x.price,
    x.quantity, x.fee, x.subsidy, x.maker
from sides as x
left join base.member_names as m on m.number = x.member
left join base.instrument_names as i on i.number = x.instrument;

create view refusals as
select r.sequence, r.time, m.member, r.client_id, i.instrument, r.reason, r.detail
from base.refusals as r
left join base.member_names as m on m.number = r.member
left join base.instrument_names as i on i.number = r.instrument;

create view postings as
select
    l.entry,
    l.sequence,
    l.time,
    m.member,
    case
        when p.programme is not null then 'programme:' || p.programme
        else base.account_word(l.account)
    end as account,
    case when l.asset = 0 then 'money' else i.instrument end as asset,
    l.amount,
    l.reason,
    nullif(l.trade, 0) as trade
from base.postings as l
left join base.member_names as m on m.number = l.member
left join base.instrument_names as i on i.number = l.asset - 1
left join base.programmes as p on p.number = l.programme;

create view subsidy_legs as
select l.trade, l."order", p.programme, p.terms_version, p.fiscal_year, m.member, l.amount
from base.subsidy_legs as l
left join base.programmes as p on p.number = l.programme
left join base.member_names as m on m.number = l.member;

create view programmes as
select
    programme, fiscal_year, terms_version, budget, uncommitted, reserved, paid, vested
from base.programmes;

create view members as
select member, group_name, size, region, role, sequence
from base.members
qualify row_number() over (partition by number order by rowid desc) = 1;

create view instruments as
select
    instrument, name, kind, provider, domestic, filed, region, tier, tick, list_price,
    weight_input, weight_cached, weight_output, milli_pflops, state, mode, source, source_version,
    source_date, sequence
from base.instruments
qualify row_number() over (partition by number order by rowid desc) = 1;

create view bars_1m as
with open_bars as (
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
    where time >= (select bars_before from base.watermark)
    group by instrument, start
),

bars as (
    select * from base.bars
    union all
    select * from open_bars
)

select
    i.instrument, b.start, b.open, b.high, b.low, b.close, b.volume, b.amount, b.trades,
    b.subsidised_volume
from bars as b
left join base.instrument_names as i on i.number = b.instrument;

create view phases as
select
    p.sequence,
    p.time,
    i.instrument,
    p.phase,
    nullif(p.reference, 0) as reference,
    nullif(p.cause, '') as cause,
    nullif(p.who, '') as who,
    nullif(p.why, '') as why
from base.phases as p
left join base.instrument_names as i on i.number = p.instrument;

create view fixings as
select
    f.day, i.instrument, f.sequence, f.time, f.price, f.rung, f.stale, f.auction_quantity, f.trades,
    f.quantity, f.outliers, f.median, f.bid, f.ask, f.carried_from
from base.fixings as f
left join base.instrument_names as i on i.number = f.instrument;

create view watermark as
select
    sequence, make_timestamp(time_ns // 1000) as time, segment, "offset", lower(hex(digest)) as digest,
    frames
from base.watermark;
