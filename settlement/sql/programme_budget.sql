-- The budget of the programme $1 and what members owe it.
select
    p.programme, p.fiscal_year, p.terms_version, p.budget, p.uncommitted, p.reserved, p.paid,
    p.vested,
    (select coalesce(sum(amount), 0) from postings where account = 'claims:' || p.programme) as owed
from programmes as p
where p.programme = $1;
