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
    case when p.programme is not null then t.terms_version end as terms_version,
    z.trade is not null as busted,
    t.entry
from base.trades as t
left join base.instrument_names as i on i.number = t.instrument
left join base.member_names as b on b.number = t.buyer
left join base.member_names as s on s.number = t.seller
left join base.programmes as p on p.number = t.programme
left join base.busts as z on z.trade = t.trade;

create view orders as
with changes as (
    select
        "order",
        arg_max(nullif(price, 0), last_sequence) as price,
        bool_or(replaced) as replaced,
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
    coalesce(c.price, e.price) as price,
    coalesce(c.quantity, e.quantity) as quantity,
    p.programme,
    base.state_word(coalesce(c.state, e.state)) as state,
    e.replaced or coalesce(c.replaced, false) as replaced,
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
    x.quantity, x.fee, x.subsidy, x.maker, z.trade is not null as busted
from sides as x
left join base.member_names as m on m.number = x.member
left join base.instrument_names as i on i.number = x.instrument
left join base.busts as z on z.trade = x.trade;

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
    base.account_word(l.account) || coalesce(':' || p.programme, '') as account,
    case when l.asset = 0 then 'money' else i.instrument end as asset,
    l.amount,
    l.reason,
    nullif(l.trade, 0) as trade
from base.postings as l
left join base.member_names as m on m.number = l.member
left join base.instrument_names as i on i.number = l.asset - 1
left join base.programmes as p on p.number = l.programme;

create view entries as
select
    entry,
    any_value(sequence) as sequence,
    any_value(time) as time,
    any_value(reason) as reason,
    nullif(any_value(trade), 0) as trade,
    count(*) as postings
from base.postings
group by entry;

create view subsidy_legs as
select
    nullif(l.trade, 0) as trade,
    nullif(l."order", 0) as "order",
    p.programme,
    l.terms_version,
    p.fiscal_year,
    m.member,
    l.amount,
    l.reason,
    l.sequence,
    l.time
from base.subsidy_legs as l
left join base.programmes as p on p.number = l.programme
left join base.member_names as m on m.number = l.member;

create view redemptions as
select
    r.redemption,
    r.number,
    r.sequence,
    r.time,
    m.member,
    i.instrument,
    r.lots,
    r.restricted,
    r.state,
    r.reference,
    r.units,
    r.vested,
    r.reimbursed
from base.redemptions as r
left join base.member_names as m on m.number = r.member
left join base.instrument_names as i on i.number = r.instrument
qualify row_number() over (partition by r.redemption, r.number order by r.rowid desc) = 1;

create view obligations as
select
    m.member as provider,
    i.instrument,
    sum(o.issued)::bigint as issued,
    sum(o.redeemed)::bigint as redeemed,
    sum(o.expired)::bigint as expired,
    sum(o.issued - o.redeemed - o.expired)::bigint as open
from base.obligations as o
left join base.member_names as m on m.number = o.provider
left join base.instrument_names as i on i.number = o.instrument
group by m.member, i.instrument;

create view terms as
select p.programme, p.fiscal_year, t.terms_version, t.sequence, t.time, t.terms
from base.terms as t
left join base.programmes as p on p.number = t.programme;

create view busts as
select trade, sequence, time, who, why
from base.busts;

create view programmes as
select
    programme, fiscal_year, terms_version, budget, uncommitted, reserved, paid, vested
from base.programmes;

create view members as
select member, group_name, size, region, role, nullif(owner, '') as owner, sequence
from base.members
qualify row_number() over (partition by number order by rowid desc) = 1;

create view instruments as
select
    instrument, name, kind, provider, domestic, filed, region, tier, tick, list_price,
    expires, coalesce(nullif(redeemed_as, ''), instrument) as redeemed_as, weight_input, weight_cached, weight_output, milli_pflops, state, mode, source, source_version,
    source_date, sequence
from base.instruments
qualify row_number() over (partition by number order by rowid desc) = 1;

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
