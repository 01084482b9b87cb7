-- Who was subsidised by the programme $1, by the size of the firm.
select
    m.size,
    count(distinct l.member) as firms,
    count(distinct l."order") as orders,
    sum(l.amount) as subsidy,
    sum(l.amount) * 10000 // nullif(sum(sum(l.amount)) over (), 0) as basis_points
from subsidy_legs as l
inner join members as m on m.member = l.member
where l.programme = $1
group by m.size
order by list_position(['micro', 'small', 'medium', 'large'], m.size);
