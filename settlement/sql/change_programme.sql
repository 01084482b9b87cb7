update base.programmes
set
    programme = $2, fiscal_year = $3, terms_version = $4, budget = $5, uncommitted = $6,
    reserved = $7, paid = $8, vested = $9
where number = $1;
