-- The versions of the terms of the programme $1.
select terms_version, sequence, time, terms
from terms
where programme = $1
order by terms_version;
