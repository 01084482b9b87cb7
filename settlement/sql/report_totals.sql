select
    (select sequence from base.watermark) as sequence,
    (select count(*) from base.trades) as trades,
    (select coalesce(sum(price * quantity), 0) from base.trades) as turnover,
    (select coalesce(sum(buyer_fee + seller_fee), 0) from base.trades) as fees,
    (select coalesce(sum(subsidy), 0) from base.trades) as subsidy,
    (select count(*) from base.trades where subsidy > 0) as subsidised_trades,
    (select count(*) from base.order_entries) as orders,
    (select count(*) from base.refusals) as refusals,
    (select count(*) from base.postings) as postings;
