-- Write the bars of the minutes that begin from `bars_before` on, and before $1 (µs since 1970).
insert into base.bars
from base.bars_between('minute', (select bars_before from base.watermark), make_timestamp($1))
order by start, instrument;
