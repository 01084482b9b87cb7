-- Write the bars anew of the minutes before $2 (µs since 1970) of which a trade was busted after the
-- command $1; a minute that is left without trades has none.
insert into base.bars
select b.*
from (
    select distinct t.instrument, date_trunc('minute', t.time) as start
    from base.busts as z
    inner join base.trades as t on t.trade = z.trade
    where z.sequence > $1 and date_trunc('minute', t.time) < make_timestamp($2)
) as m
inner join base.bars_between(
    'minute',
    (
        select date_trunc('minute', min(t.time))
        from base.busts as z
        inner join base.trades as t on t.trade = z.trade
        where z.sequence > $1
    ),
    make_timestamp($2)
) as b on b.instrument = m.instrument and b.start = m.start;
