-- What the views of price history mean; the rest stands in comments.sql.

comment on view bars_1s is
    'Price history in bars of one second, without busted trades. Without trades there is no bar.';
comment on column bars_1s.instrument is 'What was traded.';
comment on column bars_1s.start is 'When the second begins, UTC.';
comment on column bars_1s.open is 'Price of its first trade, hao per lot.';
comment on column bars_1s.high is 'Highest price, hao per lot.';
comment on column bars_1s.low is 'Lowest price, hao per lot.';
comment on column bars_1s.close is 'Price of its last trade so far, hao per lot.';
comment on column bars_1s.volume is 'Lots traded.';
comment on column bars_1s.amount is 'Sum of price x quantity, hao.';
comment on column bars_1s.trades is 'Number of trades.';
comment on column bars_1s.subsidised_volume is 'Lots of the trades of which a programme paid a part.';
comment on column bars_1s.subsidy is 'Hao that programmes paid at these trades.';
comment on column bars_1s.vwap is 'Volume-weighted average price, hao per lot: amount / volume.';
comment on column bars_1s.subsidised_share is
    'Share of the lots of which a programme paid a part, 0 to 1: subsidised_volume / volume.';

comment on view bars_1m is
    'Price history in bars of one minute, without busted trades. Without trades there is no bar.';
comment on column bars_1m.instrument is 'What was traded.';
comment on column bars_1m.start is 'When the minute begins, UTC.';
comment on column bars_1m.open is 'Price of its first trade, hao per lot.';
comment on column bars_1m.high is 'Highest price, hao per lot.';
comment on column bars_1m.low is 'Lowest price, hao per lot.';
comment on column bars_1m.close is 'Price of its last trade so far, hao per lot.';
comment on column bars_1m.volume is 'Lots traded.';
comment on column bars_1m.amount is 'Sum of price x quantity, hao.';
comment on column bars_1m.trades is 'Number of trades.';
comment on column bars_1m.subsidised_volume is 'Lots of the trades of which a programme paid a part.';
comment on column bars_1m.subsidy is 'Hao that programmes paid at these trades.';
comment on column bars_1m.vwap is 'Volume-weighted average price, hao per lot: amount / volume.';
comment on column bars_1m.subsidised_share is
    'Share of the lots of which a programme paid a part, 0 to 1: subsidised_volume / volume.';

comment on view bars_5m is
    'Price history in bars of five minutes, without busted trades. Without trades there is no bar.';
comment on column bars_5m.instrument is 'What was traded.';
comment on column bars_5m.start is 'When the interval begins, UTC.';
comment on column bars_5m.open is 'Price of its first trade, hao per lot.';
comment on column bars_5m.high is 'Highest price, hao per lot.';
comment on column bars_5m.low is 'Lowest price, hao per lot.';
comment on column bars_5m.close is 'Price of its last trade so far, hao per lot.';
comment on column bars_5m.volume is 'Lots traded.';
comment on column bars_5m.amount is 'Sum of price x quantity, hao.';
comment on column bars_5m.trades is 'Number of trades.';
comment on column bars_5m.subsidised_volume is 'Lots of the trades of which a programme paid a part.';
comment on column bars_5m.subsidy is 'Hao that programmes paid at these trades.';
comment on column bars_5m.vwap is 'Volume-weighted average price, hao per lot: amount / volume.';
comment on column bars_5m.subsidised_share is
    'Share of the lots of which a programme paid a part, 0 to 1: subsidised_volume / volume.';

comment on view bars_1h is
    'Price history in bars of one hour, without busted trades. Without trades there is no bar.';
comment on column bars_1h.instrument is 'What was traded.';
comment on column bars_1h.start is 'When the hour begins, UTC.';
comment on column bars_1h.open is 'Price of its first trade, hao per lot.';
comment on column bars_1h.high is 'Highest price, hao per lot.';
comment on column bars_1h.low is 'Lowest price, hao per lot.';
comment on column bars_1h.close is 'Price of its last trade so far, hao per lot.';
comment on column bars_1h.volume is 'Lots traded.';
comment on column bars_1h.amount is 'Sum of price x quantity, hao.';
comment on column bars_1h.trades is 'Number of trades.';
comment on column bars_1h.subsidised_volume is 'Lots of the trades of which a programme paid a part.';
comment on column bars_1h.subsidy is 'Hao that programmes paid at these trades.';
comment on column bars_1h.vwap is 'Volume-weighted average price, hao per lot: amount / volume.';
comment on column bars_1h.subsidised_share is
    'Share of the lots of which a programme paid a part, 0 to 1: subsidised_volume / volume.';

comment on view bars_1d is
    'Price history in bars of one day of the venue, without busted trades. Without trades there is no bar.';
comment on column bars_1d.instrument is 'What was traded.';
comment on column bars_1d.start is 'When the venue''s day begins, UTC: at 16:00 of the day before.';
comment on column bars_1d.open is 'Price of its first trade, hao per lot.';
comment on column bars_1d.high is 'Highest price, hao per lot.';
comment on column bars_1d.low is 'Lowest price, hao per lot.';
comment on column bars_1d.close is 'Price of its last trade so far, hao per lot.';
comment on column bars_1d.volume is 'Lots traded.';
comment on column bars_1d.amount is 'Sum of price x quantity, hao.';
comment on column bars_1d.trades is 'Number of trades.';
comment on column bars_1d.subsidised_volume is 'Lots of the trades of which a programme paid a part.';
comment on column bars_1d.subsidy is 'Hao that programmes paid at these trades.';
comment on column bars_1d.vwap is 'Volume-weighted average price, hao per lot: amount / volume.';
comment on column bars_1d.subsidised_share is
    'Share of the lots of which a programme paid a part, 0 to 1: subsidised_volume / volume.';

comment on view quotes_1m is
    'The top of each book at the end of each minute in which the venue took a command.';
comment on column quotes_1m.instrument is
    'Whose book it is. A minute has no row of a book that is empty.';
comment on column quotes_1m.start is
    'When the minute begins, UTC. The minute under way has no rows yet.';
comment on column quotes_1m.bid is 'Best bid, hao per lot; null if there is none.';
comment on column quotes_1m.bid_quantity is 'Lots shown at the best bid; null if there is none.';
comment on column quotes_1m.ask is 'Best ask, hao per lot; null if there is none.';
comment on column quotes_1m.ask_quantity is 'Lots shown at the best ask; null if there is none.';
comment on column quotes_1m.sequence is 'Number of the minute''s last command, in the journal.';

comment on view instrument_events is
    'What happened to instruments, by which an analyst reads their prices.';
comment on column instrument_events.sequence is 'Number of the command that did it, in the journal.';
comment on column instrument_events.time is 'When the command was sequenced, UTC, to the microsecond.';
comment on column instrument_events.instrument is 'What it happened to, as in instruments.';
comment on column instrument_events.event is
    'proposed, listed, suspended, cancel_only, resumed, retired or reweighted.';
comment on column instrument_events.who is 'Who decided it; null if it followed from something else, and to a firm.';
comment on column instrument_events.why is 'The reason that was given; null if none, and to a firm.';
comment on column instrument_events.factor is
    'How many lots do what one lot did before, for three parts of input tokens and one of output, none cached; 1 if nothing was re-weighted.';

comment on view tier_index is
    'Each tier''s price index: chained, the equal-weighted geometric mean of how the fixings of its models moved.';
comment on column tier_index.day is 'The trading day.';
comment on column tier_index.tier is 'The quality tier, of models only, as in instruments.';
comment on column tier_index.level is 'The index, 1000 on the tier''s first day.';
comment on column tier_index.change is
    'Its change since the day before, 0.01 for one per cent; null on the first day.';
comment on column tier_index.constituents is
    'How many models count: those with a fixing on this day and the day before.';
comment on column tier_index.stale is
    'How many of these fixings are carried, with nothing of the day behind them.';
