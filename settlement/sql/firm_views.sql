-- What a firm's SQL sees: the public history without members and order numbers, and its own rows.
-- The firm is named by the connection's variable `viewer`, which a firm's own statement cannot set.
--
-- Own rows pass through a limit: the planner moves no condition below one. Without it, a firm's
-- condition might be tried on other firms' rows, and its errors would tell what stands in them.

create schema firm;

create macro firm.own(name) as name = getvariable('viewer')::varchar;

create view firm.trades as
select
    trade,
    sequence,
    time,
    instrument,
    price,
    quantity,
    amount,
    taker_side,
    case when firm.own(buyer) then buy_order end as buy_order,
    case when firm.own(seller) then sell_order end as sell_order,
    case when firm.own(buyer) then buyer end as buyer,
    case when firm.own(seller) then seller end as seller,
    case when firm.own(buyer) then buyer_fee end as buyer_fee,
    case when firm.own(seller) then seller_fee end as seller_fee,
    subsidy,
    phase,
    programme,
    terms_version,
    busted,
    case when firm.own(buyer) or firm.own(seller) then entry end as entry
from main.trades;

create view firm.orders as
select * from main.orders where firm.own(member) limit 9223372036854775807;

create view firm.executions as
select * from main.executions where firm.own(member) limit 9223372036854775807;

create view firm.refusals as
select * from main.refusals where firm.own(member) limit 9223372036854775807;

create view firm.postings as
select * from main.postings where firm.own(member) limit 9223372036854775807;

create view firm.entries as
select
    entry,
    any_value(sequence) as sequence,
    any_value(time) as time,
    any_value(reason) as reason,
    any_value(trade) as trade,
    count(*) as postings
from firm.postings
group by entry
limit 9223372036854775807;

create view firm.subsidy_legs as
select * from main.subsidy_legs where firm.own(member) limit 9223372036854775807;

create view firm.redemptions as
select * from main.redemptions where firm.own(member) limit 9223372036854775807;

create view firm.members as
select * from main.members where firm.own(member) limit 9223372036854775807;

create view firm.programmes as select * from main.programmes;

create view firm.terms as select * from main.terms;

create view firm.obligations as select * from main.obligations;

-- That a trade was busted is public; who decided it and why may name the members.
create view firm.busts as
select trade, sequence, time, null::varchar as who, null::varchar as why from main.busts;

create view firm.instruments as select * from main.instruments;

create view firm.bars_1s as select * from main.bars_1s;

create view firm.bars_1m as select * from main.bars_1m;

create view firm.bars_5m as select * from main.bars_5m;

create view firm.bars_1h as select * from main.bars_1h;

create view firm.bars_1d as select * from main.bars_1d;

create view firm.quotes_1m as select * from main.quotes_1m;

-- What happened to an instrument is public; who decided it and why may name the members.
create view firm.instrument_events as
select * replace (null::varchar as who, null::varchar as why) from main.instrument_events;

create view firm.tier_index as select * from main.tier_index;

create view firm.phases as select * from main.phases;

create view firm.fixings as select * from main.fixings;

create view firm.watermark as select * from main.watermark;
