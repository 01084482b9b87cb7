-- What every public view and column means, with its unit; the reference page is made from these.

comment on view trades is 'Every trade, once, in the order in which they happened.';
comment on column trades.trade is 'The trade''s number: 1, 2, 3 ... over all instruments.';
comment on column trades.sequence is 'Number of the command that caused it, in the journal.';
comment on column trades.time is 'When the command was sequenced, UTC, to the microsecond.';
comment on column trades.instrument is 'What was traded, as in instruments.';
comment on column trades.price is 'Hao per lot (1 hao = 0.0001 yuan).';
comment on column trades.quantity is 'Lots.';
comment on column trades.amount is 'Price x quantity, in hao, before fees and subsidy.';
comment on column trades.taker_side is
    'Side of the order that arrived: buy or sell; null in an auction, where both have rested.';
comment on column trades.buy_order is 'The buyer''s order, as in orders.';
comment on column trades.sell_order is 'The seller''s order, as in orders.';
comment on column trades.buyer is 'The member that bought.';
comment on column trades.seller is 'The member that sold.';
comment on column trades.buyer_fee is 'Hao that the buyer paid to the house on top of the amount.';
comment on column trades.seller_fee is 'Hao that the house took out of the seller''s proceeds.';
comment on column trades.subsidy is
    'Hao of the amount that the buyer''s programme paid at this trade; 0 if it pays later, or none does.';
comment on column trades.phase is
    'How the orders met: continuous, as one arrived, or auction, all at one price.';
comment on column trades.programme is
    'The programme that the buyer''s order names; null if none. The lots are then restricted.';
comment on column trades.terms_version is
    'Version of that programme''s terms, as in terms; null if none.';
comment on column trades.busted is
    'Whether it was undone later, as in busts. Bars and reports leave it out; entries of both stay.';
comment on column trades.entry is 'The ledger entry that moved money and credits, as in postings.';

comment on view orders is 'Every accepted order, once, as it stands at the watermark.';
comment on column orders."order" is 'The order''s number, given by the venue.';
comment on column orders.client_id is 'The id that the member gave it: 1 to 24 ASCII bytes.';
comment on column orders.sequence is 'Number of the command that entered it, in the journal.';
comment on column orders.time is 'When it was entered, UTC, to the microsecond.';
comment on column orders.member is 'Whose order it is.';
comment on column orders.instrument is 'What it buys or sells.';
comment on column orders.side is 'buy or sell.';
comment on column orders.type is
    'How it finds its price: limit, market, stop, stop_limit or trailing_stop.';
comment on column orders.time_in_force is 'How long it may rest: gtc, gtd, day, ioc or fok.';
comment on column orders.price is
    'Hao per lot: its limit, or the protection price of a market, stop or trailing stop order, as it was last told: at its entry, when replaced, or when triggered.';
comment on column orders.quantity is
    'Its total, in lots, filled or not, after what it was reduced or replaced by.';
comment on column orders.programme is 'The programme that it names; null if none.';
comment on column orders.state is 'open, filled, cancelled, expired or rejected.';
comment on column orders.replaced is 'Whether it was ever replaced.';
comment on column orders.filled_quantity is 'Lots filled so far.';
comment on column orders.gross is
    'What its trades amount to so far, price x quantity, in hao, before fees and subsidy.';
comment on column orders.subsidy is
    'Hao that its fills have earned of its programme: paid at the trades, or as the credits are redeemed.';
comment on column orders.subsidy_reserved is
    'Hao that its programme reserved when it was entered; 0 of a pro-rata one.';
comment on column orders.last_sequence is 'Number of the last command that changed it.';

comment on view executions is 'Every fill: two rows a trade, the buyer''s and the seller''s.';
comment on column executions.execution is
    'The fill''s number: 2 x trade - 1 for the buyer, 2 x trade for the seller.';
comment on column executions.trade is 'The trade, as in trades.';
comment on column executions."order" is 'The order that was filled, as in orders.';
comment on column executions.sequence is 'Number of the command that caused it, in the journal.';
comment on column executions.time is 'When the command was sequenced, UTC, to the microsecond.';
comment on column executions.member is 'Whose order it is.';
comment on column executions.instrument is 'What was traded.';
comment on column executions.side is 'Side of the order: buy or sell.';
comment on column executions.price is 'Hao per lot.';
comment on column executions.quantity is 'Lots.';
comment on column executions.fee is 'Hao that this side paid to the house.';
comment on column executions.subsidy is
    'Hao that the programme paid for this side; 0 for a seller.';
comment on column executions.maker is
    'Whether the order rested, as both do in an auction; false if it arrived.';
comment on column executions.busted is 'Whether the trade was undone later, as in busts.';

comment on view refusals is 'Every command that was refused, and why.';
comment on column refusals.sequence is 'Number of the refused command, in the journal.';
comment on column refusals.time is 'When it was sequenced, UTC, to the microsecond.';
comment on column refusals.member is 'Who sent it; null if unknown.';
comment on column refusals.client_id is 'The id that the member gave it.';
comment on column refusals.instrument is 'What it was about; null if unknown or none.';
comment on column refusals.reason is 'The reject reason, in lower case.';
comment on column refusals.detail is
    'The number that the reason speaks of: a price, a limit, an amount.';

comment on view postings is 'The ledger: the signed lines of every entry. An entry''s lines sum to zero, asset by asset.';
comment on column postings.entry is 'The ledger entry''s number.';
comment on column postings.sequence is 'Number of the command that caused it, in the journal.';
comment on column postings.time is 'When the command was sequenced, UTC, to the microsecond.';
comment on column postings.member is 'Whose account it is; house for the venue''s own.';
comment on column postings.account is
    'free (held or not), restricted, redeeming, debt; of the house fees, outside, and programme: or claims: with a programme''s name.';
comment on column postings.asset is 'money, or the instrument whose credits they are.';
comment on column postings.amount is
    'Signed: hao of money, or lots of credits. Positive adds to the account.';
comment on column postings.reason is 'trade, or what the act was: fund, deposit, redeem, burn, bust ...';
comment on column postings.trade is 'The trade, as in trades; null if it was none.';

comment on view entries is 'Every entry of the ledger, and the command that caused it.';
comment on column entries.entry is 'The entry''s number, as in postings.';
comment on column entries.sequence is 'Number of the command that caused it, in the journal.';
comment on column entries.time is 'When the command was sequenced, UTC, to the microsecond.';
comment on column entries.reason is 'trade, or what the act was.';
comment on column entries.trade is 'The trade, as in trades; null if it was none.';
comment on column entries.postings is 'How many postings it has; a firm counts its own.';

comment on view subsidy_legs is 'What programmes paid and took back. Of each programme they sum to paid + vested.';
comment on column subsidy_legs.trade is 'The trade, as in trades; null if it was for none.';
comment on column subsidy_legs."order" is 'The buyer''s order, as in orders; null if it was for none.';
comment on column subsidy_legs.programme is 'Who paid.';
comment on column subsidy_legs.terms_version is
    'Version of the programme''s terms by which it paid, as in terms.';
comment on column subsidy_legs.fiscal_year is 'The fiscal year whose budget paid.';
comment on column subsidy_legs.member is 'The firm that was subsidised.';
comment on column subsidy_legs.amount is 'Hao; negative where a payment was taken back.';
comment on column subsidy_legs.reason is
    'trade, reimbursed, award or share; bust, settled, related or ineligible where it was taken back.';
comment on column subsidy_legs.sequence is 'Number of the command that caused it, in the journal.';
comment on column subsidy_legs.time is 'When the command was sequenced, UTC, to the microsecond.';

comment on view redemptions is 'Every redemption, asked for or by recorded usage, as it stands at the watermark.';
comment on column redemptions.redemption is 'Number of the command that asked for it or recorded it, in the journal.';
comment on column redemptions.number is 'Tells the redemptions of one command apart.';
comment on column redemptions.sequence is 'Number of the last command that changed it, in the journal.';
comment on column redemptions.time is 'When that command was sequenced, UTC, to the microsecond.';
comment on column redemptions.member is 'Who redeems.';
comment on column redemptions.instrument is 'Whose credits are redeemed, as in instruments.';
comment on column redemptions.lots is 'Lots; 0 of usage that a lot begun before still covered.';
comment on column redemptions.restricted is 'Lots of these that a programme had paid for.';
comment on column redemptions.state is 'requested, delivered, disputed, confirmed (burned) or returned.';
comment on column redemptions.reference is 'The member''s own reference, or the usage record''s id.';
comment on column redemptions.units is
    'Thousandths of a weighted token unit that a usage record comes to; else 0.';
comment on column redemptions.vested is 'Hao that programmes have vested by it.';
comment on column redemptions.reimbursed is 'Hao of these that were paid to the member then.';

comment on view obligations is 'What each provider has issued of each instrument and still owes.';
comment on column obligations.provider is 'Who issued.';
comment on column obligations.instrument is 'What was issued, as in instruments.';
comment on column obligations.issued is 'Lots issued so far.';
comment on column obligations.redeemed is 'Lots of these that were redeemed. Issues are met in their order.';
comment on column obligations.expired is 'Lots of these that have expired.';
comment on column obligations.open is 'Lots still owed: issued - redeemed - expired.';

comment on view terms is 'Every version of every programme''s terms.';
comment on column terms.programme is 'The programme''s name.';
comment on column terms.fiscal_year is 'The fiscal year of its budget.';
comment on column terms.terms_version is 'The version.';
comment on column terms.sequence is 'Number of the command since which it is in force, in the journal.';
comment on column terms.time is 'When that command was sequenced, UTC, to the microsecond.';
comment on column terms.terms is 'The terms, as the text of their file.';

comment on view busts is 'Every trade that was undone.';
comment on column busts.trade is 'The trade, as in trades.';
comment on column busts.sequence is 'Number of the command that undid it, in the journal.';
comment on column busts.time is 'When that command was sequenced, UTC, to the microsecond.';
comment on column busts.who is 'Who decided it; a firm is not told.';
comment on column busts.why is 'The reason that was given; a firm is not told.';

comment on view programmes is 'Programmes and their budgets at the watermark: uncommitted + reserved + paid + vested = budget.';
comment on column programmes.programme is 'The programme''s name.';
comment on column programmes.fiscal_year is 'The fiscal year of the budget.';
comment on column programmes.terms_version is 'Version of the terms in force.';
comment on column programmes.budget is 'Hao for the year.';
comment on column programmes.uncommitted is 'Hao that no order has reserved.';
comment on column programmes.reserved is 'Hao that open orders may still earn, and what a reimbursing programme owes for credits not redeemed.';
comment on column programmes.paid is 'Hao paid, and not vested yet.';
comment on column programmes.vested is 'Hao whose credits have been used.';

comment on view members is 'Members as they stand at the watermark.';
comment on column members.member is 'The member''s name, the same in every table.';
comment on column members.group_name is
    'Members of one group are related parties; a member alone is its own group.';
comment on column members.size is 'micro, small, medium or large.';
comment on column members.region is 'Where the firm is registered.';
comment on column members.role is 'house, firm, provider, programme_office, operator or auditor.';
comment on column members.owner is 'Whose second account it is; null if it is none.';
comment on column members.sequence is 'Number of the command that last changed the row.';

comment on view instruments is 'What can be traded, as it stands at the watermark.';
comment on column instruments.instrument is 'Its name, the same in every table.';
comment on column instruments.name is 'Its full name.';
comment on column instruments.kind is
    'model (a lot is 1,000,000 weighted tokens), agent (one task) or compute (one card-hour).';
comment on column instruments.provider is 'Who issues its credits; empty if several may.';
comment on column instruments.domestic is 'Whether it is of domestic grade (Xinchuang).';
comment on column instruments.filed is 'Whether it is filed with the regulator.';
comment on column instruments.region is 'Where it is served.';
comment on column instruments.tier is 'Its quality tier.';
comment on column instruments.tick is 'Tick size, hao per lot.';
comment on column instruments.list_price is
    'The provider''s list price, hao per lot; the subsidy''s ceiling is counted from it.';
comment on column instruments.expires is 'The last day of its credits; null if they never expire.';
comment on column instruments.redeemed_as is
    'The name under which its usage is recorded, the same for all expiries of a model.';
comment on column instruments.weight_input is 'Weight of an input token, per mille.';
comment on column instruments.weight_cached is 'Weight of a cached input token, per mille.';
comment on column instruments.weight_output is 'Weight of an output token, per mille.';
comment on column instruments.milli_pflops is
    'FP16 equivalent of one card, in thousandths of a PFLOPS; 0 unless compute.';
comment on column instruments.state is 'proposed, listed, suspended, cancel_only or retired.';
comment on column instruments.mode is 'How it may be traded: continuous, call or listing.';
comment on column instruments.source is 'Where the list price comes from.';
comment on column instruments.source_version is 'Version of the source.';
comment on column instruments.source_date is 'Date of the source.';
comment on column instruments.sequence is 'Number of the command that last changed the row.';

comment on view phases is 'Every change of an instrument''s phase or reference price by a phase command, and its first phase.';
comment on column phases.sequence is 'Number of the command that changed it, in the journal.';
comment on column phases.time is 'When the command was sequenced, UTC, to the microsecond.';
comment on column phases.instrument is 'Whose phase it is, as in instruments.';
comment on column phases.phase is
    'The phase from then on: closed, pre_open, no_cancel, auction, continuous or halted.';
comment on column phases.reference is 'The reference price from then on, hao per lot; null if none.';
comment on column phases.cause is
    'static_collar or dynamic_collar, if a breach of it interrupted trading; else null.';
comment on column phases.who is
    'Who changed it: an operator, or CALENDAR; null where a collar did.';
comment on column phases.why is 'The reason that was given; null where a collar did it.';

comment on view fixings is 'The daily prices: one of each listed instrument and trading day, and what it rests on.';
comment on column fixings.day is 'The trading day.';
comment on column fixings.instrument is 'Whose price it is, as in instruments.';
comment on column fixings.sequence is 'Number of the command that fixed it, in the journal.';
comment on column fixings.time is 'When the command was sequenced, UTC, to the microsecond.';
comment on column fixings.price is 'The fixing, hao per lot: the reference price from then on.';
comment on column fixings.rung is
    'What it rests on: closing_auction, last_half_hour, quotes or carried.';
comment on column fixings.stale is 'Whether nothing of the day supports it: it is carried.';
comment on column fixings.auction_quantity is
    'Lots that traded in the fixing call''s auction; null if none did.';
comment on column fixings.trades is
    'Trades of the half hour before the fixing call; null if not asked for, or none.';
comment on column fixings.quantity is 'Lots of those trades, outliers too.';
comment on column fixings.outliers is
    'How many of those trades were left out: further than 10 % from the median.';
comment on column fixings.median is
    'Their lot-weighted median, hao per lot: at or below it at least half of the lots were traded.';
comment on column fixings.bid is
    'Best bid at the fixing, hao per lot; null if not asked for, or none.';
comment on column fixings.ask is
    'Best ask at the fixing, hao per lot; null if not asked for, or none.';
comment on column fixings.carried_from is
    'The day whose fixing is carried on; null if none is, or if it is the list price.';

comment on view watermark is 'How far the journal has been folded into these tables; one row.';
comment on column watermark.sequence is 'The last command that they contain.';
comment on column watermark.time is 'When it was sequenced, UTC.';
comment on column watermark.segment is 'The journal segment to resume from.';
comment on column watermark."offset" is 'The byte in the segment to resume from.';
comment on column watermark.digest is 'Hash of the last frame, hexadecimal.';
comment on column watermark.frames is 'Frames folded so far.';
