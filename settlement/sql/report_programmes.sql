-- Each programme's budget at the watermark, and what its legs and its postings say it paid.
with legs as (
    select programme, sum(amount) as amount, count(*) filter (where reason = 'trade') as trades
    from base.subsidy_legs
    group by programme
),

postings as (
    select
        programme,
        sum(amount) filter (where reason = 'fund') as funded,
        -sum(amount) filter (where reason <> 'fund') as amount
    from base.postings
    where base.account_word(account) = 'programme'
    group by programme
)

select
    p.programme, p.fiscal_year, p.terms_version, p.budget, p.uncommitted, p.reserved, p.paid,
    p.vested,
    coalesce(l.trades, 0) as subsidised_trades,
    coalesce(l.amount, 0) as legs,
    coalesce(q.funded, 0) as funded,
    coalesce(q.amount, 0) as posted
from base.programmes as p
left join legs as l on l.programme = p.number
left join postings as q on q.programme = p.number
order by p.programme, p.fiscal_year;
