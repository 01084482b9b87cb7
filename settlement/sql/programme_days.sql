-- What the programme $1 paid day by day of the venue's clock, and what it had left then.
select
    (l.time + interval 8 hours)::date as day,
    sum(l.amount) as paid,
    sum(sum(l.amount)) over (order by (l.time + interval 8 hours)::date) as paid_so_far,
    any_value(p.budget) - sum(sum(l.amount)) over (order by (l.time + interval 8 hours)::date)
        as budget_left
from subsidy_legs as l
inner join programmes as p on p.programme = l.programme
where l.programme = $1
group by day
order by day;
