-- Subsidy by the size of the firm that bought.
select
    coalesce(m.size, '') as size,
    count(distinct l.member) as members,
    count(distinct l.trade) as trades,
    sum(l.amount) as subsidy
from subsidy_legs as l
left join members as m on m.member = l.member
group by all
order by size;
