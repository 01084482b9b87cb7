-- Why the programme $1 paid, and took back.
select reason, count(*) as legs, sum(amount) as amount
from subsidy_legs
where programme = $1
group by reason
order by sum(amount) desc, reason;
