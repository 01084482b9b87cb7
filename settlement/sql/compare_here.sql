-- The first row of `here` that `there` has not, or not as often, and how many there are.
select count(*) over () as differing, *
from (
    select * from here
    except all
    select * from there
)
order by all
limit 1;
