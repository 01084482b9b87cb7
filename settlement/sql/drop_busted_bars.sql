-- Drop the bars of the minutes of which a trade was busted after the command $1.
delete from base.bars as b
using base.busts as z, base.trades as t
where z.sequence > $1
    and t.trade = z.trade
    and b.instrument = t.instrument
    and b.start = date_trunc('minute', t.time);
