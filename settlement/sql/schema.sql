-- The store's own tables: small numbers for members, instruments and programmes, codes for words.
-- Append only; only base.watermark and base.programmes, which say how things stand at the watermark,
-- are rewritten in place, and bars of minutes whose trades were busted are made anew.

create schema base;

-- The words of matching/vocabulary.py, each at the place of its code. Codes are written as they
-- come and turned into words by the views: enum columns cost 24 ns a value more to write.
create macro base.side_word(code) as (['buy', 'sell'])[code + 1];
create macro base.phase_word(code) as
(['closed', 'pre_open', 'no_cancel', 'auction', 'continuous', 'halted'])[code + 1];
create macro base.type_word(code) as
(['limit', 'market', 'stop', 'stop_limit', 'trailing_stop'])[code + 1];
create macro base.time_in_force_word(code) as (['gtc', 'gtd', 'day', 'ioc', 'fok'])[code + 1];
create macro base.state_word(code) as
(['open', 'filled', 'cancelled', 'expired', 'rejected'])[code + 1];
create macro base.account_word(code) as
([
    'free', 'restricted', 'debt', 'fees', 'outside', 'programme', 'redeeming', 'claims'
])[code + 1];

-- Each file of a store is told from others by when it was made: what was written of one is behind of
-- another.
create table base.about (schema_digest varchar, made varchar);

create table base.watermark (
    sequence bigint, time_ns bigint, segment bigint, "offset" bigint, digest blob, frames bigint,
    bars_before timestamp
);
insert into base.watermark values (0, 0, 0, 0, ''::blob, 0, timestamp '1970-01-01');

-- taker_side 2 is none: in an auction both orders have rested.
create table base.trades (
    trade bigint, entry bigint, sequence bigint, time timestamp, instrument integer,
    price bigint, quantity bigint, taker_side utinyint, phase utinyint,
    buy_order bigint, sell_order bigint, buyer integer, seller integer,
    buyer_fee bigint, seller_fee bigint, subsidy bigint, programme integer, terms_version integer
);

-- An order as it entered, and how it stood at the end of the flush that brought it.
create table base.order_entries (
    "order" bigint, client_id varchar, sequence bigint, time timestamp, member integer,
    instrument integer, side utinyint, type utinyint, time_in_force utinyint,
    programme integer, subsidy_reserved bigint,
    price bigint, replaced boolean, state utinyint, last_sequence bigint, quantity bigint,
    filled_quantity bigint, gross bigint, subsidy bigint
);

-- How an order of an earlier flush stood at the end of a flush that changed it. A price of 0 is as
-- before; replaced says whether it was by what this flush brought.
create table base.order_changes (
    "order" bigint, price bigint, replaced boolean, state utinyint, last_sequence bigint,
    quantity bigint, filled_quantity bigint, gross bigint, subsidy bigint
);

create table base.refusals (
    sequence bigint, time timestamp, member integer, client_id varchar, instrument integer,
    reason varchar, detail bigint
);

-- asset 0 is money, asset i + 1 the credits of instrument i; trade 0 and programme -1 are none.
-- Lines of one entry repeat its numbers: run lengths are three times as fast to write as the
-- default, bit packing, which is smaller (22 against 36 bytes a line).
create table base.postings (
    entry bigint using compression rle,
    sequence bigint using compression rle,
    time timestamp using compression rle,
    member integer,
    account utinyint,
    programme integer default -1 using compression rle,
    asset integer,
    amount bigint,
    reason varchar default 'trade',
    trade bigint default 0 using compression rle
);

-- trade and order are 0 where there is none.
create table base.subsidy_legs (
    sequence bigint, time timestamp, trade bigint, "order" bigint, programme integer,
    terms_version integer, member integer, amount bigint, reason varchar default 'trade'
);

-- Each redemption as it stood after each command that changed it.
create table base.redemptions (
    sequence bigint, time timestamp, redemption bigint, number integer, member integer,
    instrument integer, lots bigint, restricted bigint, state varchar, reference varchar,
    units bigint, vested bigint, reimbursed bigint
);

-- How obligations have changed, in lots.
create table base.obligations (
    sequence bigint, time timestamp, provider integer, instrument integer, issued bigint,
    redeemed bigint, expired bigint
);

create table base.terms (
    sequence bigint, time timestamp, programme integer, terms_version integer, terms varchar
);

create table base.busts (
    sequence bigint, time timestamp, trade bigint, who varchar, why varchar
);

create table base.programmes (
    number integer, programme varchar, fiscal_year integer, terms_version integer,
    budget bigint, uncommitted bigint, reserved bigint, paid bigint, vested bigint
);

-- A name never changes; what else is known of a member or an instrument may, a row each time.
create table base.member_names (number integer, member varchar);
insert into base.member_names values (0, 'house');

create table base.members (
    number integer, sequence bigint, member varchar, group_name varchar, size varchar,
    region varchar, role varchar, owner varchar
);

create table base.instrument_names (number integer, instrument varchar);

create table base.instruments (
    number integer, sequence bigint, time timestamp, instrument varchar, name varchar, kind varchar,
    provider varchar, domestic boolean, filed boolean, region varchar, tier varchar, tick bigint,
    list_price bigint, expires date, redeemed_as varchar, weight_input bigint, weight_cached bigint, weight_output bigint,
    milli_pflops bigint, state varchar, mode varchar, source varchar, source_version varchar,
    source_date varchar, who varchar, why varchar
);

-- reference 0 is none; cause, who and why are empty where there is none.
create table base.phases (
    sequence bigint, time timestamp, instrument integer, phase varchar, reference bigint,
    cause varchar, who varchar, why varchar
);

create table base.fixings (
    day date, instrument integer, sequence bigint, time timestamp, price bigint, rung varchar,
    stale boolean, auction_quantity bigint, trades bigint, quantity bigint, outliers bigint,
    median bigint, bid bigint, ask bigint, carried_from date
);

-- The trades that make prices: all but those that were busted.
create view base.standing_trades as
select t.*
from base.trades as t
anti join base.busts as b on b.trade = t.trade;

-- The bars of the seconds or minutes (`part`) between two moments.
create macro base.bars_between(part, since, until) as table
select
    instrument,
    date_trunc(part, time) as start,
    arg_min(price, trade) as open,
    max(price) as high,
    min(price) as low,
    arg_max(price, trade) as close,
    sum(quantity)::bigint as volume,
    sum(price * quantity)::bigint as amount,
    count(*) as trades,
    coalesce(sum(quantity) filter (where subsidy > 0), 0)::bigint as subsidised_volume,
    sum(subsidy)::bigint as subsidy
from base.standing_trades
where time >= since and time < until
group by instrument, start;

-- Bars of the minutes that are over; the last trade's minute is still open, see base.minutes.
create table base.bars (
    instrument integer, start timestamp, open bigint, high bigint, low bigint, close bigint,
    volume bigint, amount bigint, trades bigint, subsidised_volume bigint, subsidy bigint
);

-- All minutes, the open one too.
create view base.minutes as
select * from base.bars
union all
select *
from base.bars_between('minute', (select bars_before from base.watermark), 'infinity'::timestamp);

-- Bars of longer intervals, which divide the venue's day or are it: it begins at 16:00 UTC.
create macro base.bars_of(width) as table
select
    instrument,
    time_bucket(width, start, interval 16 hours) as start,
    arg_min(open, start) as open,
    max(high) as high,
    min(low) as low,
    arg_max(close, start) as close,
    sum(volume)::bigint as volume,
    sum(amount)::bigint as amount,
    sum(trades)::bigint as trades,
    sum(subsidised_volume)::bigint as subsidised_volume,
    sum(subsidy)::bigint as subsidy
from base.minutes as m
group by instrument, time_bucket(width, m.start, interval 16 hours);

-- Tops of books at the end of a minute; null where a side is empty, no row where both are.
create table base.quotes (
    instrument integer, start timestamp, bid bigint, bid_quantity bigint, ask bigint,
    ask_quantity bigint, sequence bigint
);
