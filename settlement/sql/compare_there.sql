-- The first row of `there` that `here` has not, or not as often, and how many there are.
select count(*) over () as differing, *
from (
    select * from there
    except all
    select * from here
)
order by all
limit 1;
