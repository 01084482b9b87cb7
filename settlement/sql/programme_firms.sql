-- Who was subsidised by the programme $1, for the credits of whom. An award is for no one's credits.
select
    l.member,
    any_value(m.group_name) as group_name,
    any_value(m.size) as size,
    i.provider,
    count(distinct l."order") as orders,
    sum(l.amount) as subsidy,
    sum(l.amount) * 10000 // nullif(sum(sum(l.amount)) over (partition by l.member), 0)
        as of_firm_basis_points,
    sum(l.amount) * 10000 // nullif(sum(sum(l.amount)) over (), 0) as basis_points
from subsidy_legs as l
inner join members as m on m.member = l.member
left join orders as o on o."order" = l."order"
left join instruments as i on i.instrument = o.instrument
where l.programme = $1
group by l.member, i.provider
order by sum(l.amount) desc, l.member, i.provider;
