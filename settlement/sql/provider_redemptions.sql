-- What members redeem of the instruments whose provider is $1, by how far it has come.
select r.instrument, r.state, count(*) as redemptions, sum(r.lots) as lots, min(r.time) as oldest
from redemptions as r
inner join instruments as i on i.instrument = r.instrument
where i.provider = $1
group by r.instrument, r.state
order by r.instrument, r.state;
